"""The record of the runs of a project: what became of each stage, and why."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from finery.to_json import to_json

RUNS = Path(".finery/runs.jsonl")
STYLES = {"ran": "green", "failed": "bold red", "blocked": "yellow"}


@dataclass(frozen=True)
class Outcome:
    """What became of a stage; `why` is why it ran, or what went wrong."""

    stage: str
    result: Literal["ran", "restored", "cached", "failed", "blocked"]
    why: str = ""
    seconds: float = 0.0
    exit_status: int = 0


def record(run: str, outcomes: Sequence[Outcome], root: Path = Path()) -> None:
    """Append a run, a line of JSON: its id, when it ended and the outcome of every stage."""
    file = root / RUNS
    file.parent.mkdir(exist_ok=True)
    stages = [asdict(outcome) for outcome in outcomes]
    line = {"run": run, "ended": int(time.time()), "stages": stages}
    with file.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write("\n" + to_json(line))  # what a full disk cut ends at the new line


def outcomes_of(run: str, root: Path = Path()) -> list[Outcome]:
    """The outcomes of a run by its id; none if it did not come to its end."""
    file = root / RUNS
    lines = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    runs = {found["run"]: found["stages"] for found in _whole(lines.split("\n"))}
    return [Outcome(**stage) for stage in runs.get(run, [])]


def show(outcomes: Sequence[Outcome]) -> None:
    """Print what became of each stage, and why."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    box = SIMPLE_HEAD if console.is_terminal else None
    table = Table("stage", "outcome", "seconds", "why", box=box)
    for outcome in outcomes:
        seconds = f"{outcome.seconds:.1f}" if outcome.seconds else ""
        cells = (outcome.stage, outcome.result, seconds, outcome.why)
        table.add_row(*(Text(cell, style=STYLES.get(outcome.result, "")) for cell in cells))
    console.print(table)


def _whole(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The lines that a kill or a full disk did not cut; a cut one may be JSON still, as 1 of 12."""
    for line in lines:
        with suppress(ValueError):
            if isinstance(found := json.loads(line), dict) and {"run", "stages"} <= found.keys():
                yield found
