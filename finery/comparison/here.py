"""What the models take on this machine: no part of the page that DVC makes, which is the same
everywhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.stage.timings import latest

ANSWERS = Path(".finery/answers")
WEIGHTS = ("*.safetensors", "*.gguf")
STAGES = ("evaluate", "evaluate_quantized")


@dataclass(frozen=True)
class Here:
    """Of a model: its weights in MB (10^6 bytes), the tokens a second that its evaluation answered
    in, and the memory in MB that this took; None if that is not known here.
    """

    name: str
    weights: float | None
    speed: float | None
    memory: int | None


def here(folders: Mapping[str, Path], root: Path = Path()) -> list[Here]:
    """For each model and its folder, what is known of it on this machine."""
    timings = latest()
    return [
        Here(name, _weights(root / folder), _speed(root, name), _memory(timings, name))
        for name, folder in folders.items()
    ]


def lines(found: Sequence[Here]) -> list[str]:
    """A table in Markdown."""
    rows = [("model", "weights, MB", "tokens a second", "memory, MB"), ("---",) * 4]
    rows += [
        (each.name, _said(each.weights), _said(each.speed), _said(each.memory)) for each in found
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def _weights(folder: Path) -> float | None:
    files = [file for pattern in WEIGHTS for file in folder.glob(pattern)]
    return sum(file.stat().st_size for file in files) / 1e6 if files else None


def _speed(root: Path, name: str) -> float | None:
    for stage in STAGES:
        try:
            kept = json.loads((root / ANSWERS / f"{stage}-{name}.json").read_text("utf-8"))
            tokens = sum(answer[1] for answer, *_ in kept["said"])
            return tokens / kept["seconds"] if kept["seconds"] else None
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            continue
    return None


def _memory(timings: Mapping[str, Any], name: str) -> int | None:
    records = (timings.get(f"{stage}@{name}") for stage in STAGES)
    return next((record["peak_mb"] for record in records if record), None)


def _said(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
