"""Python's own JSON decoder, which here also notes what it lets pass."""

import json
from typing import Any

Note = tuple[str, str, str]
"""Field, kind and problem: what a `BadRow` says."""


class Parser:
    """Decodes values; `note` is what is wrong with the last although it could be decoded.

    A key written twice in one object has lost a value; NaN and Infinity are no JSON.
    """

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant
        )
        self.note: Note | None = None

    def value(self, text: str) -> Any:
        """The value that all of `text` is. Raises `ValueError` or `RecursionError`."""
        self.note = None
        return self._decoder.decode(text)

    def value_at(self, text: str, position: int) -> tuple[Any, int]:
        """The value that begins at `position`, and where it ends. Raises as `value` does."""
        self.note = None
        return self._decoder.raw_decode(text, position)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            self.note = (twice, "duplicate-key", "is written twice in one object; keep one")
        return values

    def _constant(self, name: str) -> None:
        self.note = ("", "not-a-number", f"holds {name}, which is not JSON; write null")


def reason(error: Exception) -> str:
    """Why a text could not be decoded, without the place."""
    if isinstance(error, json.JSONDecodeError):
        said = error.msg.removesuffix(" at").removesuffix(" starting")
        return said[0].lower() + said[1:]
    return "too deeply nested" if isinstance(error, RecursionError) else str(error)
