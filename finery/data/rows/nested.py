"""Values that hold values: tools, calls, lists of messages, from any kind of file."""

import math
import re
from typing import Any

from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import Fields, shown
from finery.data.rows.strict_json import Parser, reason

DEEPEST = 100
"""No tool has values so deep in others, and what renders them could not follow many more."""

PYTHONS = re.compile(r"\s*\[?\s*\{\s*'")
"""How objects begin that were written without json.dumps, as pandas does in CSV."""


def opened(field: str | None, value: Any) -> Any:
    """What a text holds whose cell is for a list or an object, as all cells of CSV are texts.

    What is no text, or no JSON of a list or an object, stays as it is. Raises `FieldError` if
    JSON that can be read has lost something.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    parser = Parser()
    try:
        held = parser.value(value)
    except (ValueError, RecursionError):
        if PYTHONS.match(value):
            problem = f"is written as Python prints it, not as JSON: {shown(value)}; use json.dumps"
            raise FieldError(field, "not-json", problem) from None
        return value
    _refuse_noted(field, parser)
    return held


def decoded(field: str | None, text: str, kind: str) -> Any:
    """The value that a text of JSON is. Raises `FieldError`, of this kind if it is not JSON."""
    parser = Parser()
    try:
        value = parser.value(text)
    except (ValueError, RecursionError) as error:
        raise FieldError(field, kind, f"not JSON ({reason(error)}): {shown(text)}") from None
    _refuse_noted(field, parser)
    return value


def plain(row: Fields, place: str, value: Any, nulls: bool = False, depth: int = 1) -> Any:
    """A value that JSON can hold, its texts and keys checked and filled as all texts of a row are.

    `place` is where it is: columns, keys and indices from 0, with dots between. Without `nulls`,
    a key whose value is null is left out: Parquet and Arrow have every key of a column in each
    of its rows, and null where a row has none. A null in a list is a value, and stays.
    Raises `FieldError` with the place inside.
    """
    if isinstance(value, str):
        return row.filled(place, value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            problem = f"must be a finite number, not {value}; write null or a string"
            raise FieldError(place, "not-a-number", problem)
        return value
    if isinstance(value, list):
        _refuse_deep(place, depth)
        return [plain(row, f"{place}.{n}", each, nulls, depth + 1) for n, each in enumerate(value)]
    if isinstance(value, dict):
        _refuse_deep(place, depth)
        kept = {key: each for key, each in value.items() if nulls or each is not None}
        filled = {
            _key(row, place, key): plain(row, f"{place}.{key}", each, nulls, depth + 1)
            for key, each in kept.items()
        }
        if len(filled) != len(kept):
            problem = "has two keys that data.variables make one; rename one"
            raise FieldError(place, "duplicate-key", problem)
        return filled
    kind = type(value).__name__
    problem = f"is of the type {kind} ({value!s:.60}), which JSON does not have; store a string"
    raise FieldError(place, "not-json", problem)


def _refuse_deep(place: str, depth: int) -> None:
    if depth > DEEPEST:
        problem = f"is more than {DEEPEST} deep in lists and objects; write it flatter"
        raise FieldError(f"{place:.60}...", "too-deep", problem)


def _key(row: Fields, place: str, key: Any) -> str:
    if not isinstance(key, str):
        raise FieldError(place, "not-json", f"has the key {shown(key)}; store it as a string")
    return row.filled(place, key, "a key ")


def _refuse_noted(field: str | None, parser: Parser) -> None:
    if parser.note:
        name, kind, problem = parser.note
        raise FieldError(field, kind, f"{name} {problem}".lstrip())
