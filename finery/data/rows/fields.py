"""The columns of one row, each checked when it is read."""

import json
import re
from dataclasses import dataclass
from typing import Any

from finery.data.rows.bad_rows import FieldError

VARIABLE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(slots=True)  # not frozen: made by the million, and twice as quickly
class Fields:
    """A row and the values of its {{variables}}; with None, {{...}} are words like any others."""

    values: dict[str, Any]
    variables: dict[str, str] | None
    unread: tuple[str, ...] = ()
    """What was seen in the row to say something, and is not read."""

    def get(self, column: str | None) -> Any:
        """The value of a column; None if the dataset or the row has no such column."""
        return None if column is None else self.values.get(column)

    def text(self, column: str, kind: str = "empty-text") -> str:
        """A column that must say something. `kind` is what it is called if it is empty."""
        return self.said(column, self.required(column), kind)

    def optional(self, column: str | None) -> str:
        """A column's text; "" if there is no such column or nothing in it."""
        value = self.get(column)
        if value is None or value == "" or (isinstance(value, str) and value.isspace()):
            return ""
        return self.filled(column, value)

    def required(self, column: str) -> Any:
        """The value of a column that must be there."""
        if column not in self.values:
            have = ", ".join(map(str, self.values)) or "none"
            raise FieldError(column, "missing-column", f"missing column; the row has {have}")
        return self.values[column]

    def said(self, field: str, value: Any, kind: str = "empty-text", where: str = "") -> str:
        """`value` as `filled` has it, and not empty."""
        text = self.filled(field, value, where)
        if not text or text.isspace():
            raise FieldError(field, kind, f"{where}is empty; fill it or remove the row")
        return text

    def filled(self, field: str | None, value: Any, where: str = "") -> str:
        """`value` with its variables filled. Raises `FieldError` if it is no text, or broken."""
        if not isinstance(value, str):
            raise FieldError(field, "not-text", f"{where}must be a string, not {shown(value)}")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = f"U+{ord(value[error.start]):X}"
            problem = f"{where}holds half a character ({half}); write all of it"
            raise FieldError(field, "half-character", problem) from None
        if "\0" in value:
            raise FieldError(field, "nul", f"{where}holds a NUL character; remove it")
        if self.variables is None or "{{" not in value:
            return value
        return VARIABLE.sub(lambda match: self._variable(field, match, where), value)

    def _variable(self, field: str | None, match: re.Match[str], where: str) -> str:
        assert self.variables is not None
        if match[1] not in self.variables:
            problem = (
                f"{match[0]} has no value; set data.variables.{match[1]},"
                " or data.variables to null if such words are to stay"
            )
            raise FieldError(field, "unfilled-variable", where + problem)
        return self.variables[match[1]]


def shown(value: Any) -> str:
    """A value as JSON, cut to fit in a line; what JSON does not have, by its type."""
    try:
        return f"{json.dumps(value, ensure_ascii=False, default=_typed):.60}"
    except TypeError:  # a key that is no string
        return f"{value!r:.60}"


def _typed(value: Any) -> str:
    return f"{type(value).__name__} {value}"
