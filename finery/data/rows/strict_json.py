"""Python's own JSON decoder, which here also notes what it lets pass."""

import json
from typing import Any

Note = tuple[str, str, str]
"""Field, kind and problem: what a `BadRow` says."""
COMMA = "a comma too many; remove it"
DEEPEST = 200
"""Lists and objects in each other: Python sends no row of many more to another process."""


class Parser:
    """Decodes values; `note` is what is wrong with the last although it could be decoded.

    A key written twice in one object has lost a value; NaN and Infinity are no JSON; numbers of
    thousands of digits and values deep in values cannot be written again.
    """

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_int=self._integer,
        )
        self.note: Note | None = None

    def value(self, text: str) -> Any:
        """The value that all of `text` is. Raises `ValueError` or `RecursionError`."""
        self.note = None
        value = self._decoder.decode(text)
        if len(text) > 2 * DEEPEST:
            self._measure(value, text, 0, len(text))
        return value

    def value_at(self, text: str, position: int) -> tuple[Any, int]:
        """The value that begins at `position`, and where it ends. Raises as `value` does."""
        self.note = None
        value, end = self._decoder.raw_decode(text, position)
        if end - position > 2 * DEEPEST:
            self._measure(value, text, position, end)
        return value, end

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            self.note = (twice, "duplicate-key", "is written twice in one object; keep one")
        return values

    def _constant(self, name: str) -> None:
        self.note = ("", "not-a-number", f"holds {name}, which is not JSON; write null")

    def _integer(self, digits: str) -> int:
        try:
            return int(digits)
        except ValueError:  # Python would not write it, either
            problem = f"holds a number of {len(digits)} digits; write it as a string"
            self.note = ("", "not-a-number", problem)
            return 0

    def _measure(self, value: Any, text: str, start: int, end: int) -> None:
        brackets = text.count("[", start, end) + text.count("{", start, end)
        if brackets > DEEPEST and _depth(value) > DEEPEST:
            problem = f"holds values more than {DEEPEST} deep in others; write it flatter"
            self.note = ("", "too-deep", problem)


def _depth(value: Any) -> int:
    """How many lists and objects lie in each other, counted a level at a time."""
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [
            one for each in level for one in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


def reason(error: Exception) -> str:
    """Why a text could not be decoded, without the place."""
    if isinstance(error, json.JSONDecodeError):
        before, after = error.doc[: error.pos].rstrip()[-1:], error.doc[error.pos :].strip()
        if after == "," or (before == "," and after[:1] in ("]", "}")):
            return COMMA
        said = error.msg.removesuffix(" at").removesuffix(" starting")
        return said[0].lower() + said[1:]
    return "too deeply nested" if isinstance(error, RecursionError) else str(error)
