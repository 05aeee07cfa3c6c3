"""JSON as its standard has it (RFC 8259): a number that is NaN or infinite is null."""

import json
import math
from typing import Any


def to_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON text that every reader can read; what is in metrics is written by this."""
    return json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """The same value with None for every number in it that is NaN or infinite."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
