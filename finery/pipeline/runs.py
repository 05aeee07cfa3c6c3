"""The record of the runs of a project: what became of each stage, and why."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

RUNS = Path(".finery/runs.jsonl")


@dataclass(frozen=True)
class Outcome:
    """What became of a stage; `why` is why it ran, or what went wrong."""

    stage: str
    result: Literal["ran", "restored", "cached", "failed", "blocked"]
    why: str = ""
    seconds: float = 0.0
    exit_status: int = 0


def record(outcomes: Sequence[Outcome], root: Path = Path()) -> None:
    """Append a run, a line of JSON: when it ended and the outcome of every stage."""
    file = root / RUNS
    file.parent.mkdir(exist_ok=True)
    run = {"ended": int(time.time()), "stages": [asdict(outcome) for outcome in outcomes]}
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(run, ensure_ascii=False) + "\n")


def latest(root: Path = Path()) -> list[Outcome]:
    """The outcomes of the last run; none if there was none."""
    file = root / RUNS
    if not file.exists():
        return []
    run = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
    return [Outcome(**stage) for stage in run["stages"]]
