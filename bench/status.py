"""How long `finery status` takes, beside `dvc status` and the imports that neither can do without.

    python bench/status.py [--runs N]

Wall time of whole processes in this clone, as it is: the median of N runs in turn, after one run
that fills the caches. Run it on an idle machine.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
PYTHON = (sys.executable, "-c")
COMMANDS = {
    "finery status": (sys.executable, "-m", "finery.cli", "status"),
    "finery why train": (sys.executable, "-m", "finery.cli", "why", "train"),
    "dvc status": (sys.executable, "-m", "dvc", "status"),
    "python -c 'import dvc.repo'": (*PYTHON, "import dvc.repo"),
    "python -c pass": (*PYTHON, "pass"),
}
BOUND = 1.5
LIBRARIES = ("dvc", "pydantic", "typer", "ruamel.yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    os.chdir(ROOT)
    os.environ["DVC_NO_ANALYTICS"] = "1"
    seconds = measure(runs)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table(seconds))
    console.print(machine())
    median = statistics.median(seconds["finery status"])
    console.print(f"finery status: {median:.2f} s, bound {BOUND} s")
    sys.exit(median >= BOUND)


def measure(runs: int) -> dict[str, list[float]]:
    """Seconds of each run; the commands take turns, so that all meet the same machine."""
    for command in COMMANDS.values():
        took(command)
    rounds = [{name: took(command) for name, command in COMMANDS.items()} for _ in range(runs)]
    return {name: [each[name] for each in rounds] for name in COMMANDS}


def took(command: tuple[str, ...]) -> float:
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - start


def table(seconds: dict[str, list[float]]) -> Table:
    found = Table(title="Seconds", title_justify="left")
    found.add_column("command")
    for column in ("median", "lowest", "highest"):
        found.add_column(column, justify="right")
    for name, times in seconds.items():
        values = (statistics.median(times), min(times), max(times))
        found.add_row(name, *(f"{value:.2f}" for value in values))
    return found


def machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cores = os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}; {versions}"


if __name__ == "__main__":
    main()
