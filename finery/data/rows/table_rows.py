"""Rows of CSV, Parquet and Arrow files, some at a time."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.data.errors import DataError
from finery.data.rows.lines import LONGEST_ROW, TOO_LONG, lines, not_utf8
from finery.data.rows.strict_json import Note

BATCH = 1000
TRUTH = {"true": True, "false": False}


def csv_rows(file: Path, tag: str | None) -> Iterator[tuple[int, Any, Note | None]]:
    """The rows of a CSV file with a header, all values as text, but for `tag`: true or false.

    Raises `DataError` if it is not UTF-8, or the quotes do not match.
    """
    csv.field_size_limit(LONGEST_ROW)
    reader = csv.reader(_decoded(file), strict=True)
    try:
        header = next(reader, [])
        if twice := [name for name in header if header.count(name) > 1]:
            raise DataError(f"{file}: column {twice[0]!r} is there twice; rename one")
        for number, cells in enumerate(filter(None, reader), 1):
            values: dict[str, Any] = dict(zip(header, cells, strict=False))
            if tag in values:
                values[tag] = TRUTH.get(values[tag].strip().lower(), values[tag])
            yield number, values, _uneven(header, cells)
    except csv.Error as error:
        raise DataError(f"{file}:{reader.line_num}: not CSV: {error}; quote it as CSV") from None


def parquet_rows(file: Path) -> Iterator[tuple[int, Any, Note | None]]:
    """The rows of a Parquet file. Raises `DataError` if it is none, or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            yield from _numbered(file, table.iter_batches(batch_size=BATCH))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, "Parquet", error) from None


def arrow_rows(file: Path) -> Iterator[tuple[int, Any, Note | None]]:
    """The rows of an Arrow file or stream. Raises `DataError` if it is neither, or damaged."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(file)) as source:
            stream = source.read(6) != b"ARROW1"
            source.seek(0)
            if stream:
                batches: Any = pa.ipc.open_stream(source)
            else:
                opened = pa.ipc.open_file(source)
                batches = map(opened.get_batch, range(opened.num_record_batches))
            yield from _numbered(file, batches)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, "Arrow", error) from None


def _numbered(file: Path, batches: Any) -> Iterator[tuple[int, Any, None]]:
    number = 0
    for batch in batches:
        names = batch.schema.names
        if twice := [name for name in names if names.count(name) > 1]:
            raise DataError(f"{file}: column {twice[0]!r} is there twice; rename one")
        for start in range(0, batch.num_rows, BATCH):
            for values in batch.slice(start, BATCH).to_pylist():
                number += 1
                yield number, values, None


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


def _damaged(file: Path, kind: str, error: Exception) -> DataError:
    cause = next(iter(str(error).splitlines()), type(error).__name__)
    return DataError(f"{file}: not {kind}, or damaged ({cause}); get the file again")
