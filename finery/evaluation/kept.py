"""What models said, kept for the next time: a metric that is added or mended asks nobody again."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from finery.inference.answers import Answer

KEPT = Path(".finery/answers")
BY_HAND = "manual"
CODE = Path(__file__).parents[1]
ASKING = (
    "inference", "models", "evaluation/ask.py", "evaluation/calls.py", "evaluation/loss.py",
    "evaluation/seen.py",
)  # fmt: skip
"""The code that says what a model answers."""


@dataclass(frozen=True)
class Said:
    """What a model makes of a test: its answer, the summed loss and the tokens that it is over, and
    whether the answer calls the right tools, if it should call some.
    """

    answer: Answer
    loss: tuple[float, int]
    call_match: float | None = None


@dataclass(frozen=True)
class Asked:
    """What a model said to all tests, and how many seconds its answers took together."""

    said: Sequence[Said]
    seconds: float


def once(made_from: str, ask: Callable[[], Asked]) -> Sequence[Said]:
    """What was said the last time if all that it was made from is the same; else what `ask` gives.

    There is one file for each stage of DVC that evaluates.
    """
    stage = os.environ.get("DVC_STAGE", BY_HAND).replace("@", "-")
    file = KEPT / f"{stage}.json"
    if (found := _read(file, made_from)) is not None:
        print(f"{len(found)} answers kept from the last time: they are scored alone")
        return found
    asked = ask()
    _write(file, made_from, asked)
    return asked.said


def made_from(model: Path, tests: Path, settings: dict[str, Any]) -> str:
    """All that decides over the answers, as a hash: files, settings, code, libraries.

    The files of the model are told by sizes and times, and not read.
    """
    weights = [(file.name, *_told(file)) for file in sorted(model.rglob("*")) if file.is_file()]
    digest = hashlib.sha256(json.dumps([weights, settings, _libraries()]).encode())
    code = sorted(file for part in ASKING for file in _modules(CODE / part))
    for file in [*code, *(each for each in sorted(tests.rglob("*")) if each.is_file())]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _told(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_size, about.st_mtime_ns


def _modules(part: Path) -> list[Path]:
    return [part] if part.is_file() else list(part.rglob("*.py"))


def _libraries() -> list[str]:
    from finery.models.load import device

    return [*(version(name) for name in ("torch", "transformers", "gptqmodel")), device()]


def _read(file: Path, made_from: str) -> list[Said] | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["made_from"] != made_from:
            return None
        return [Said(Answer(*answer), tuple(loss), calls) for answer, loss, calls in kept["said"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, made_from: str, asked: Asked) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".partial-{file.name}")
    said = [astuple(each) for each in asked.said]
    content = {"made_from": made_from, "seconds": asked.seconds, "said": said}
    partial.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    partial.replace(file)
