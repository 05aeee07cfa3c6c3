"""JSON, an element or a line at a time: memory does not grow with the file."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.data.errors import DataError
from finery.data.rows.lines import CHUNK, LONGEST_ROW, TOO_LONG, lines, not_utf8
from finery.data.rows.strict_json import COMMA, Note, Parser, reason

SPACE = re.compile(r"[ \t\r\n]*")
BETWEEN = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
NEAR_THE_END = 16
"""Characters: more than the longest of JSON's words, which may be cut where the window ends."""


def read_json(file: Path) -> Any:
    """A small JSON file's value. Raises `DataError` with the line of the first error."""
    text, parser = _Text(file), Parser()
    if not text.next_character():
        raise DataError(f"{file}: the file is empty")
    value = text.value(parser)
    if parser.note:
        raise DataError(": ".join(filter(None, (str(file), parser.note[0], parser.note[2]))))
    if text.next_character():
        raise text.error("there is more after its end")
    return value


def element_rows(file: Path) -> Iterator[tuple[int, Any, Note | None]]:
    """The elements of an array, their numbers from 1, and what is wrong with them.

    Raises `DataError` where the array breaks: there is no telling where the next element is.
    """
    text, parser = _Text(file), Parser()
    text.next_character()
    text.position += 1
    separator, number = ",", 0
    if text.next_character() == "]":
        separator = "]"
    while separator == ",":
        number += 1
        yield number, text.value(parser, number), parser.note
        if text.next_element():
            continue
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
    parser, row = Parser(), 0
    for number, line in lines(file):
        if line is None:
            row += 1
            yield row, None, TOO_LONG
        elif line.strip():
            row += 1
            yield row, *_line(parser, number, line.rstrip(b"\r\n"))


def _line(parser: Parser, number: int, line: bytes) -> tuple[Any, Note | None]:
    try:
        return parser.value(line.decode()), parser.note
    except UnicodeDecodeError as error:
        return None, ("", "not-utf-8", not_utf8(number, error.object[error.start :]))
    except (ValueError, RecursionError) as error:
        column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return None, ("", "not-json", f"not JSON at line {number}{column}: {reason(error)}")


class _Text:
    """The text of a file, of which only a window is held; it knows its place in the file."""

    def __init__(self, file: Path):
        self.file = file
        self.stream = file.open("rb")
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.position, self.ended = "", 0, False
        self.line, self.column = 1, 1
        """Where in the file the window begins."""

    def next_character(self) -> str:
        """Go to the next character that is not white space; "" at the end of the file."""
        while True:
            space = SPACE.match(self.text, self.position)
            self.position = space.end() if space else self.position
            if self.position < len(self.text):
                return self.text[self.position]
            if not self._more():
                return ""

    def next_element(self) -> bool:
        """Go to what comes after the next comma, if all of that is in the window."""
        comma = BETWEEN.match(self.text, self.position)
        if not comma or comma.end() == len(self.text):
            return False
        self.position = comma.end()
        return True

    def value(self, parser: Parser, row: int | None = None) -> Any:
        """The value that begins here, and go behind it. `row` is what to call it in an error."""
        while True:
            try:
                value, end = parser.value_at(self.text, self.position)
            except (ValueError, RecursionError) as error:
                if not self._may_be_cut(error):
                    raise self._plainly(error, row) from None
                failed, end = error, len(self.text)
            else:
                failed = None
            if row and end - self.position > LONGEST_ROW:
                raise DataError(f"{self.file}: row {row}: {TOO_LONG[2]}")
            # A number may go on behind the window: 1. and 1e+ are read as 1.
            if (failed or end + 2 >= len(self.text)) and self._more():
                continue
            if failed:
                raise self._last_error(failed, row)
            self.position = end
            return value

    def cut(self, row: int) -> DataError:
        line, _ = self._place(len(self.text))
        return DataError(f"{self.file}:{line}: cut off in or after row {row}; get the whole file")

    def error(self, why: str, position: int | None = None) -> DataError:
        line, column = self._place(self.position if position is None else position)
        return DataError(f"{self.file}:{line}: not JSON at column {column}: {why}")

    def _may_be_cut(self, error: Exception, near: int = NEAR_THE_END) -> bool:
        """Whether it may be an error only because the window ends here."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        unended = error.msg.startswith("Unterminated string")
        return unended or error.pos >= len(self.text) - near

    def _last_error(self, error: Exception, row: int | None) -> DataError:
        """What to say about an error when there is no more to read."""
        if row and self._may_be_cut(error, near=0):
            return self.cut(row)
        return self._plainly(error, row)

    def _plainly(self, error: Exception, row: int | None) -> DataError:
        missing = row and self.text.startswith("]", self.position)
        return self.error(COMMA if missing else reason(error), getattr(error, "pos", None))

    def _more(self) -> bool:
        """Forget what was read, and hold more, twice as much of a long value; False at the end."""
        if self.ended:
            return False
        self.line, self.column = self._place(self.position)
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
            return self.line, self.column + position
        return self.line + newlines, position - self.text.rfind("\n", 0, position)
