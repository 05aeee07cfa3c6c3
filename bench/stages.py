"""What stages cost beside those of another checkout: CPU seconds, one thread, in alternation.

    python bench/stages.py PROJECT [--before CHECKOUT] [--runs N] [--stages STAGE ...]

PROJECT is a folder in which the pipeline ran: its models, data and settings are what the stages
work on, in a temporary folder. CHECKOUT has the code to compare with, such as a git worktree of an
earlier commit. `start` is a training up to its first step. CPU time, for it bears other work on
the machine better than a clock does.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
TO_FIRST_STEP = """
import os, runpy, sys, threading, time

def end_at_the_first_step():
    while not hasattr(getattr(sys.modules.get("transformers.trainer"), "Trainer", 0), "train"):
        time.sleep(0.01)
    sys.modules["transformers.trainer"].Trainer.training_step = lambda *_, **__: os._exit(0)

threading.Thread(target=end_at_the_first_step, daemon=True).start()
runpy.run_module("stages.train", run_name="__main__", alter_sys=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--stages", nargs="+", default=["start", "gptq", "awq", "merged"])
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    parser.add_argument("--runs", type=int, default=1)
    given = parser.parse_args()
    trees = [ROOT, *([given.before.resolve()] if given.before else [])]
    found: dict[tuple[str, Path], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        step = prepare(home, given.project.resolve())
        for _ in range(given.runs):
            for stage in given.stages:
                for tree in trees:
                    seconds = cpu_seconds(home, tree, command(stage, step))
                    found.setdefault((stage, tree), []).append(seconds)
    show({key: statistics.median(each) for key, each in found.items()}, given.stages, trees)


def prepare(home: Path, project: Path) -> str:
    """A folder with what the stages read; returns the step whose model is quantized."""
    for name in ("models", "data", "templates", "metrics"):
        (home / name).symlink_to(project / name)
    settings = YAML().load(project / "params.yaml")
    YAML().dump(settings, home / "params.yaml")
    return settings["merge"]["step"]


def command(stage: str, step: str) -> list[str]:
    """The command line of `start`, of quantizing to a format, or of evaluating a model."""
    if stage == "start":
        outs = [f"--{name}=out/{name}" for name in ("adapter", "loss", "plot", "metrics")]
        after = ["--step", step, "--start=models/base", f"--data=data/prepared/{step}/train"]
        return ["-c", TO_FIRST_STEP, *after, *outs]
    if stage in ("gptq", "awq"):
        data = f"--data=data/prepared/{step}/calibration"
        model = f"--model=models/{step}"
        return ["-m", "stages.quantize", "--format", stage, model, data, "--quantized=out/model"]
    model = f"--model=models/{step if stage == 'merged' else stage}"
    outs = ["--samples=out/samples.jsonl", "--metrics=out/metrics.json"]
    tests = ["--tests=data/prepared/test", "--functions=metrics"]
    return ["-m", "stages.evaluate", model, *tests, *outs]


def cpu_seconds(home: Path, tree: Path, arguments: list[str]) -> float:
    """User and system time of a stage and of all that it started."""
    environment = {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "GPTQMODEL_CPU_WORKERS": "2"}
    process = subprocess.Popen(
        [sys.executable, "-P", *arguments],
        cwd=home,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(said)
    return used.ru_utime + used.ru_stime


def show(found: dict[tuple[str, Path], float], stages: list[str], trees: list[Path]) -> None:
    table = Table("stage", *(f"{tree.name}: CPU s" for tree in trees), "share")
    for stage in stages:
        seconds = [found[stage, tree] for tree in trees]
        share = f"{seconds[0] / seconds[1]:.2f}" if len(seconds) > 1 else ""
        table.add_row(stage, *(f"{each:.1f}" for each in seconds), share)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    main()
