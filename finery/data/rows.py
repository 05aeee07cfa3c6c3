"""Read the rows of a dataset file; every error names the file and the line."""

import json
from pathlib import Path
from typing import Any

from finery.data.errors import DataError


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a .json (an array of objects) or .jsonl file.

    Raises `DataError` if the file is missing, empty, not UTF-8, malformed or of another shape.
    """
    if not file.is_file():
        raise DataError(f"{file}: no such file; see file_name in dataset_info.json")
    match file.suffix:
        case ".json":
            rows = read_json(file)
        case ".jsonl":
            rows = _read_lines(file)
        case _:
            raise DataError(f"{file}: {file.suffix or 'no suffix'}: only .json and .jsonl are read")
    if not isinstance(rows, list):
        raise DataError(f"{file}: must be an array of objects, not {_kind(rows)}")
    if not rows:
        raise DataError(f"{file}: has no rows")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DataError(f"{file}: row {number}: must be an object, not {_kind(row)}")
    return rows


def read_json(file: Path) -> Any:
    """A JSON file's value. Raises `DataError` with the line of the first error."""
    text = _text(file)
    if not text.strip():
        raise DataError(f"{file}: the file is empty")
    return _parsed(file, text, first_line=1)


def _read_lines(file: Path) -> list[Any]:
    lines = enumerate(_text(file).split("\n"), 1)
    return [_parsed(file, line, number) for number, line in lines if line.strip()]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"{file}:{line}: not UTF-8; save the file as UTF-8") from None


def _parsed(file: Path, text: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        reason = error.msg[0].lower() + error.msg[1:]
        raise DataError(f"{file}:{line}: not JSON at column {error.colno}: {reason}") from None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")
