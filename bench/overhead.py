"""What a flow costs over its stages: `finery run` beside `dvc repro` on the same graph.

    python bench/overhead.py [--seconds S]

Stages are sleeps of S seconds in a temporary folder, as many as this project has, one after the
other. Times are of whole processes, beside a Prefect server that is up. Use an idle machine.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
STAGES = 15
RUNS = Path(".finery/runs.jsonl")
LIBRARIES = ("dvc", "prefect", "pydantic")
Figure = tuple[str, float, str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="how long each stage sleeps")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["PREFECT_HOME"] = str(home / "prefect")
        os.environ["PYTHONPATH"] = str(ROOT)
        os.chdir(home)
        from flows.server import server

        with server() as page:
            os.environ["PREFECT_API_URL"] = f"{page}/api"
            figures = measure(home, seconds)
    show(figures)
    sys.exit(any(measured > bound for _, measured, _, bound in figures))


def measure(home: Path, seconds: float) -> list[Figure]:
    """Stages one after the other, by DVC alone and by the flow; and two side by side."""
    names = [f"stage-{number}" for number in range(STAGES)]
    graph = {name: names[i - 1 : i] if i else [] for i, name in enumerate(names)}
    with_dvc = make(home / "dvc", graph, seconds)
    with_flow = make(home / "flow", graph, seconds)
    dvc = took(with_dvc, "-m", "dvc", "repro")
    flow = took(with_flow, "-m", "flows.pipeline")
    again = took(with_flow, "-m", "flows.pipeline")
    start_up = took(with_flow, "-c", "import flows.pipeline")
    idle_dvc = took(with_flow, "-m", "dvc", "repro")
    idle_flow = took(with_flow, "-m", "finery.cli", "run", unwatched=True)
    pair = took(make(home / "pair", {"left": [], "right": []}, 10), "-m", "flows.pipeline")
    slept = seconds * STAGES
    run = json.loads((with_flow / RUNS).read_text().splitlines()[1])  # a blank line comes first
    alone = sum(stage["seconds"] for stage in run["stages"])
    return [
        (f"{STAGES} stages of {seconds:g} s: dvc repro", dvc, "", float("inf")),
        ("the same: finery run", flow, "", float("inf")),
        ("over the sleeps alone: dvc repro", dvc - slept, "", float("inf")),
        ("over the sleeps alone: finery run", flow - slept, "", float("inf")),
        ("finery run over its `dvc repro -s`", flow - alone, "5 s + 1 %", 5 + alone / 100),
        ("start-up of finery run (imports)", start_up, "", float("inf")),
        ("nothing to do, with a page: after start-up", again - start_up, "3 s", 3.0),
        ("nothing to do: dvc repro", idle_dvc, "", float("inf")),
        ("the same: finery run without a page", idle_flow, "1.2 times", 1.2 * idle_dvc),
        ("two independent stages of 10 s, after start-up", pair - start_up, "13 s", 13.0),
    ]


def make(root: Path, graph: dict[str, list[str]], seconds: float) -> Path:
    """A project of sleeping stages; `graph` has for each those that it depends on."""
    stages = {
        name: {
            "cmd": f"sleep {seconds} && echo done > {name}.out",
            "deps": [f"{each}.out" for each in above],
            "outs": [f"{name}.out"],
        }
        for name, above in graph.items()
    }
    root.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    shutil.copytree(ROOT / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    shutil.copy(ROOT / "params.yaml", root)
    shutil.copytree(ROOT / "templates", root / "templates")
    YAML().dump({"stages": stages}, root / "dvc.yaml")
    return root


def took(root: Path, *arguments: str, unwatched: bool = False) -> float:
    """Seconds that a command takes; `unwatched`: with no Prefect server for it to report to."""
    hidden = {"PREFECT_API_URL"} if unwatched else set()
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    command, start = [sys.executable, *arguments], time.monotonic()
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    return time.monotonic() - start


def show(figures: list[Figure]) -> None:
    table = Table("figure", "seconds", "bound")
    for what, measured, words, bound in figures:
        style = "red" if measured > bound else ""
        table.add_row(what, f"{measured:.2f}", words, style=style)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    console.print(f"{machine}, Python {platform.python_version()}, {versions}")


if __name__ == "__main__":
    main()
