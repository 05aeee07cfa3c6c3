"""The rows of a dataset's files, one at a time, whatever their format."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from finery.data.errors import DataError
from finery.data.rows.bad_rows import BadRow
from finery.data.rows.csv_rows import csv_rows
from finery.data.rows.json_rows import element_rows, line_rows
from finery.data.rows.lines import TOO_LONG, first_character, lines, not_utf8
from finery.data.rows.magic import refuse_disguised
from finery.data.rows.strict_json import Note
from finery.data.rows.table_rows import arrow_rows, parquet_rows

TYPES = {
    ".json": "json", ".jsonl": "json", ".csv": "csv", ".parquet": "parquet",
    ".arrow": "arrow", ".txt": "txt",
}  # fmt: skip
Numbered = Iterator[tuple[int, Any, Note | None]]


class Row(NamedTuple):
    """One row as its file has it; `number` counts from 1 in the file."""

    file: str
    number: int
    values: dict[str, Any]


def read_rows(
    file: Path, tag: str | None = None, label: str | None = None
) -> Iterator[Row | BadRow]:
    """The rows of a file, and in their places those that cannot be read.

    JSON may be an array or an object a line; a text has a row a line, in the column `text`. In
    CSV, where all is text, `tag` is the column that is true or false. `label` is what to call the
    file in messages about rows. Raises `DataError` if the file has no rows, or breaks off where
    no next row can be found.
    """
    label, number = label or str(file), 0
    for number, values, note in _numbered(file, tag):
        if note:
            yield BadRow(label, number, *note)
        elif isinstance(values, dict):
            yield Row(label, number, values)
        else:
            problem = f"must be an object, not {_kind(values)}"
            yield BadRow(label, number, "", "not-an-object", problem)
    if not number:
        raise DataError(f"{file}: has no rows")


def _numbered(file: Path, tag: str | None) -> Numbered:
    refuse_disguised(file)
    match TYPES.get(file.suffix):
        case "parquet":
            return parquet_rows(file)
        case "arrow":
            return arrow_rows(file)
        case None:
            known = ", ".join(TYPES)
            raise DataError(f"{file}: {file.suffix or 'no suffix'}: cannot be read; use {known}")
    first = first_character(file)
    if not first:
        raise DataError(f"{file}: the file is empty")
    if file.suffix == ".csv":
        return csv_rows(file, tag)
    if file.suffix == ".txt":
        return _text_rows(file)
    return element_rows(file) if first == "[" else _line_rows(file)


def _line_rows(file: Path) -> Numbered:
    """Lines of JSON, unless the first says that the file is one value over several lines."""
    for row, value, note in line_rows(file):
        if row == 1 and file.suffix == ".json" and (note or not isinstance(value, dict)):
            raise DataError(f"{file}: must be an array of objects, or hold an object a line")
        yield row, value, note


def _text_rows(file: Path) -> Numbered:
    row = 0
    for number, line in lines(file):
        if line is not None and not line.strip():
            continue
        row += 1
        try:
            values = None if line is None else {"text": line.rstrip(b"\r\n").decode()}
        except UnicodeDecodeError as error:
            problem = not_utf8(number, error.object[error.start :])
            yield row, None, ("", "not-utf-8", problem)
        else:
            yield row, values, TOO_LONG if line is None else None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")
