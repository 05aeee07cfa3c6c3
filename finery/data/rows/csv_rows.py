"""Rows of CSV files: all cells are texts."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.data.errors import DataError
from finery.data.rows.lines import LONGEST_ROW, TOO_LONG, lines, not_utf8
from finery.data.rows.strict_json import Note

TRUTH = {"true": True, "false": False}
OTHERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
"""What programs put between cells instead of commas."""


def csv_rows(file: Path, tag: str | None) -> Iterator[tuple[int, Any, Note | None]]:
    """The rows of a CSV file with a header, all values as text, but for `tag`: true or false.

    Raises `DataError` if it is not UTF-8, the quotes do not match, or there are no commas.
    """
    csv.field_size_limit(LONGEST_ROW)
    reader = csv.reader(_decoded(file), strict=True)
    try:
        header = next(filter(None, reader), [])
        _check(file, header)
        for number, cells in enumerate(filter(None, reader), 1):
            values: dict[str, Any] = dict(zip(header, cells, strict=False))
            if tag in values:
                values[tag] = TRUTH.get(values[tag].strip().lower(), values[tag])
            yield number, values, _uneven(header, cells)
    except csv.Error as error:
        cause = str(error).partition(" - ")[0]
        raise DataError(f"{file}:{reader.line_num}: not CSV: {cause}; quote it as CSV") from None


def _check(file: Path, header: list[str]) -> None:
    if twice := [name for name in header if header.count(name) > 1]:
        raise DataError(f"{file}: column {twice[0]!r} is there twice; rename one")
    for between, name in OTHERS.items():
        if len(header) == 1 and between in header[0]:
            problem = f"the header is one cell, {header[0]!r}, with {name} in it"
            raise DataError(f"{file}: {problem}; save the file with commas between the cells")


def _decoded(file: Path) -> Iterator[str]:
    for number, line in lines(file):
        if line is None:
            raise DataError(f"{file}:{number}: {TOO_LONG[2]}")
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            problem = not_utf8(number, error.object[error.start :])
            raise DataError(f"{file}: {problem}") from None


def _uneven(header: list[str], cells: list[str]) -> Note | None:
    if len(cells) == len(header):
        return None
    return ("", "uneven", f"has {len(cells)} cells, the header {len(header)}; quote the commas")
