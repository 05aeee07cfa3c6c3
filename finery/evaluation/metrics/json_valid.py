"""Whether the answer is JSON (RFC 8259) and nothing else, as programs that read it want it."""

import json
from typing import Any

from finery.evaluation.sample import Sample


def score(sample: Sample) -> dict[str, float | None]:
    return {"json_valid": float(parsed(sample.answer) is not None)}


def parsed(text: str) -> tuple[Any] | None:
    """The value that a text is, alone in a tuple since it may be null; None if it is no JSON."""
    try:
        return (json.loads(text, parse_constant=_refused),)
    except (ValueError, RecursionError):
        return None


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
