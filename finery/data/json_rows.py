"""JSON, an element or a line at a time: memory does not grow with the file."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.data.errors import DataError
from finery.data.lines import CHUNK, LONGEST_ROW, TOO_LONG, lines, not_utf8

SPACE = re.compile(r"[ \t\r\n]*")
NEAR_THE_END = 16
"""Longer than anything but a string that JSON does not let one cut: -Infinity, \\ud83d\\ude00."""
Note = tuple[str, str, str]
"""Field, kind and problem of what JSON's grammar lets pass, or of a line that is no JSON."""


class _Parser:
    """Python's own decoder, which also notes keys written twice and numbers that are none."""

    def __init__(self) -> None:
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant
        )
        self.note: Note | None = None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            keys = [key for key, _ in pairs]
            key = next(key for key in keys if keys.count(key) > 1)
            self.note = (key, "duplicate-key", "is written twice in one object; keep one")
        return values

    def _constant(self, name: str) -> None:
        self.note = ("", "not-a-number", f"holds {name}, which is not JSON; write null")


def read_json(file: Path) -> Any:
    """A small JSON file's value. Raises `DataError` with the line of the first error."""
    text = _Text(file)
    parser = _Parser()
    if not text.next_character():
        raise DataError(f"{file}: the file is empty")
    value = text.value(parser)
    if parser.note:
        field, _, problem = parser.note
        raise DataError(f"{file}: {field}: {problem}")
    if text.next_character():
        raise text.error("there is more after its end")
    return value


def element_rows(file: Path) -> Iterator[tuple[int, Any, Note | None]]:
    """The elements of an array, their numbers from 1, and what is wrong with them.

    Raises `DataError` where the array breaks: there is no telling where the next element is.
    """
    text, parser = _Text(file), _Parser()
    text.next_character()
    text.position += 1
    separator, number = ",", 0
    if text.next_character() == "]":
        separator = "]"
    while separator == ",":
        number += 1
        parser.note = None
        yield number, text.value(parser, number), parser.note
        separator = text.next_character()
        if separator not in (",", "]"):
            raise text.error("expecting ',' or ']'") if separator else text.cut(number)
        if separator == ",":
            text.position += 1
            text.next_character()
    text.position += 1
    if text.next_character():
        raise text.error("there is more after the array's end")


def line_rows(file: Path) -> Iterator[tuple[int, Any, Note | None]]:
    """The values on the lines of a file, numbered from 1 without the blank ones."""
    parser, row = _Parser(), 0
    for number, line in lines(file):
        if line is not None and not line.strip():
            continue
        row += 1
        parser.note = None
        try:
            value = None if line is None else parser.decoder.decode(line.decode())
        except UnicodeDecodeError as error:
            problem = not_utf8(number, error.object[error.start :])
            yield row, None, ("", "not-utf-8", problem)
        except (ValueError, RecursionError) as error:
            column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            problem = f"not JSON at line {number}{column}: {_reason(error)}"
            yield row, None, ("", "not-json", problem)
        else:
            yield row, value, TOO_LONG if line is None else parser.note


class _Text:
    """The text of a file, of which only a window is held; it knows its place in the file."""

    def __init__(self, file: Path):
        self.file = file
        self.stream = file.open("rb")
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.position, self.ended = "", 0, False
        self.line, self.column = 1, 0
        """Where the window begins: its line, and the characters before it on that line."""

    def next_character(self) -> str:
        """Go to the next character that is not white space; "" at the end of the file."""
        while True:
            self.position = SPACE.match(self.text, self.position).end()  # type: ignore[union-attr]
            if self.position < len(self.text):
                return self.text[self.position]
            if not self._more():
                return ""

    def value(self, parser: _Parser, row: int | None = None) -> Any:
        """The value that begins here, and go behind it."""
        while True:
            try:
                value, end = parser.decoder.raw_decode(self.text, self.position)
            except json.JSONDecodeError as error:
                if not self._may_be_cut(error):
                    raise self.error(_reason(error), error.pos) from None
                failed = error
            except (ValueError, RecursionError) as error:
                raise self.error(_reason(error)) from None
            else:
                # A number may go on behind the window, and only a number.
                if end < len(self.text) or not self._more():
                    self.position = end
                    return value
                continue
            if row and len(self.text) - self.position > LONGEST_ROW:
                raise DataError(f"{self.file}: row {row}: {TOO_LONG[2]}")
            if not self._more():
                raise self.cut(row) if row else self.error(_reason(failed), failed.pos)

    def cut(self, row: int) -> DataError:
        line, _ = self._place(len(self.text))
        return DataError(f"{self.file}:{line}: cut off in or after row {row}; get the whole file")

    def error(self, reason: str, position: int | None = None) -> DataError:
        line, column = self._place(self.position if position is None else position)
        return DataError(f"{self.file}:{line}: not JSON at column {column}: {reason}")

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """May reading on mend the error?"""
        unended = error.msg.startswith("Unterminated string")
        return unended or error.pos >= len(self.text) - NEAR_THE_END

    def _more(self) -> bool:
        """Forget what is read and hold more, twice as much of a long value; False at the end."""
        if self.ended:
            return False
        self.line, self.column = self._place(self.position)
        self.column -= 1
        kept = self.text[self.position :]
        read = self.stream.read(max(CHUNK, len(kept)))
        self.ended = not read
        try:
            new = self.decoder.decode(read, final=self.ended)
        except UnicodeDecodeError as error:
            line = self.line + kept.count("\n") + error.object.count(b"\n", 0, error.start)
            problem = not_utf8(line, error.object[error.start :])
            raise DataError(f"{self.file}: {problem}") from None
        self.text, self.position = kept + new, 0
        if self.ended:
            self.stream.close()
        return True

    def _place(self, position: int) -> tuple[int, int]:
        """Line and column, both from 1, of a position in the window."""
        newlines = self.text.count("\n", 0, position)
        if not newlines:
            return self.line, self.column + position + 1
        return self.line + newlines, position - self.text.rfind("\n", 0, position)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg[0].lower() + error.msg[1:]
    return "too deeply nested" if isinstance(error, RecursionError) else str(error)
