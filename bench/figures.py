"""The figures of the default pipeline: time, answers, fidelity. `make repro` ends with them.

    python bench/figures.py [--started UNIX_SECONDS]

Reads what the pipeline has measured (reports/, .finery/timings.jsonl) and times a `dvc repro`
that has nothing to do. Run it after the pipeline, on an idle machine.
"""

import argparse
import json
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

from finery.params.schema import load
from finery.stage.timings import latest

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("torch", "transformers", "trl", "peft", "gptqmodel", "dvc")
MODELS = ("base", "merged", "gptq", "awq")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--started", type=float, help="when `make repro` began")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    console = Console(width=None if sys.stdout.isatty() else 120)
    took = time.time() - arguments.started if arguments.started else None
    idle = no_op_seconds()
    for table in (stages(), answers(), figures(took, idle)):
        console.print(table)
    console.print(machine())


def no_op_seconds(runs: int = 5) -> float:
    """Median wall time of `dvc repro` when nothing has changed."""
    times = []
    for _ in range(runs):
        start = time.monotonic()
        output = subprocess.run(["dvc", "repro"], check=True, capture_output=True, text=True)
        times.append(time.monotonic() - start)
        if "Running stage" in output.stdout:
            sys.exit("the pipeline had something to do; run `dvc repro` first")
    return statistics.median(times)


def stages() -> Table:
    table = _table("Stages, as last run", "stage", "seconds", "peak MB")
    for name, record in latest().items():
        table.add_row(name, f"{record['seconds']:.1f}", f"{record['peak_mb']}")
    return table


def answers() -> Table:
    metrics = {model: _read(f"reports/evaluate/{model}/metrics.json") for model in MODELS}
    table = _table("Answers to held-out questions", "dataset, metric", *MODELS)
    for dataset in metrics["base"]:
        for metric in ("keyword_match", "exact_match", "rougeL", "bleu", "perplexity"):
            values = [metrics[model][dataset].get(metric) for model in MODELS]
            if None not in values:
                table.add_row(f"{dataset} {metric}", *(f"{value:.3f}" for value in values))
    return table


def figures(took: float | None, idle: float) -> Table:
    """The promises of the README, each with its bound."""
    metrics = {model: _read(f"reports/evaluate/{model}/metrics.json") for model in MODELS}
    identity = {m: metrics[m]["identity_test"]["keyword_match"] for m in MODELS}
    handbook = {m: metrics[m]["handbook_test"]["keyword_match"] for m in MODELS}
    fidelity = _read(f"reports/merge/{load(Path('params.yaml')).merge.step}/metrics.json")
    rows = [
        ("dvc repro with nothing to do", f"{idle:.2f} s", "<= 1.5 s", idle <= 1.5),
        ("identity, base", f"{identity['base']:.1%}", "0 %", identity["base"] == 0),
        ("identity, merged", f"{identity['merged']:.1%}", ">= 90 %", identity["merged"] >= 0.90),
        ("identity, GPTQ", f"{identity['gptq']:.1%}", ">= 85 %", identity["gptq"] >= 0.85),
        ("identity, AWQ", f"{identity['awq']:.1%}", ">= 80 %", identity["awq"] >= 0.80),
        _gain(handbook),
        _exact(fidelity),
        _rounding(fidelity),
    ]
    if took is not None:
        rows.insert(0, ("make repro, install included", _minutes(took), "<= 20 min", took <= 1200))
    table = _table("Figures", "figure", "measured", "bound", "")
    for name, measured, bound, reached in rows:
        table.add_row(name, measured, bound, "reached" if reached else "MISSED")
    return table


def _gain(handbook: dict[str, float]) -> tuple[str, str, str, bool]:
    gain = 100 * (handbook["merged"] - handbook["base"])
    return "handbook, merged over base", f"{gain:+.1f} points", ">= +30", gain >= 30


def _exact(fidelity: dict) -> tuple[str, str, str, bool]:
    difference = fidelity["exact"]["relative_difference"]
    name = "merged against base + adapter, float32 logits, relative"
    return name, f"{difference:.1e}", "<= 2^-12 = 2.4e-4", difference <= 2**-12


def _rounding(fidelity: dict) -> tuple[str, str, str, bool]:
    """A bfloat16 resolves 2^-7 of its value: the logits may move by that much of their norm."""
    difference = fidelity["rounded"]["relative_difference"]
    name = "the same after rounding to bfloat16, relative"
    return name, f"{difference:.1e}", "<= 2^-7 = 7.8e-3", difference <= 2**-7


def machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cores = os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}; {versions}"


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _read(file: str) -> dict:
    return json.loads(Path(file).read_text())


if __name__ == "__main__":
    main()
