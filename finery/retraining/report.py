"""A retraining in words: the message of its commit, the table of all runs."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from finery.params.schema import load
from finery.retraining.record import Run

METRICS = "reports/evaluate/{name}/metrics.json"
SHOWN = 3


def message(changed: Sequence[str], checkout: Path, models: Sequence[str]) -> str:
    """The message of a commit: what changed, and the models' metrics that releases look at."""
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    title = f"Retrain: {changed[0]}{more}" if changed else "Retrain"
    wanted = load(checkout / "params.yaml").release.metrics
    metrics = [line for name in models for line in _metrics(checkout, name, wanted)]
    parts = ["\n".join(f"- {line}" for line in changed), "\n".join(metrics)]
    return "\n\n".join([title, *filter(None, parts)])


def show(runs: Sequence[Run]) -> None:
    """Print the runs as a table, the latest last."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not runs:
        return console.print("nothing was retrained yet; `finery retrain` does it")
    if not console.is_terminal:
        console.width = 10_000
    table = Table(box=SIMPLE_HEAD if console.is_terminal else None)
    for column in ("started", "took", "outcome", "released", "why", "changed"):
        table.add_column(column)
    for run in runs:
        table.add_row(*(Text(cell) for cell in _cells(run)))
    console.print(table)


def _cells(run: Run) -> tuple[str, ...]:
    released = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    took = f"{run.seconds:.0f} s" if run.seconds is not None else ""
    changed = "; ".join(run.changed[:SHOWN])
    more = f" and {len(run.changed) - SHOWN} more" if len(run.changed) > SHOWN else ""
    return run.started, took, run.outcome or "under way", released, run.reason, changed + more


def _metrics(checkout: Path, name: str, wanted: Sequence[str]) -> Iterator[str]:
    file = checkout / METRICS.format(name=name)
    if not file.exists():
        return
    found = json.loads(file.read_text(encoding="utf-8"))
    for metric in wanted:
        dataset, _, key = metric.rpartition(".")
        if isinstance(value := found.get(dataset, {}).get(key), int | float):
            yield f"{name}: {metric} {value:.4g}"
