"""Rows of Parquet and Arrow files, some at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.data.errors import DataError
from finery.data.rows.strict_json import Note

BATCH = 1000
END = {b"\xff\xff\xff\xff\0\0\0\0", b"\0\0\0\0"}
"""What ends a stream, since Arrow 0.15 and before (arrow.apache.org/docs/format/Columnar.html)."""
UNREADABLE = (ValueError, LookupError, TypeError, OverflowError)
NOT_UTF8 = ("not-utf-8", "is not UTF-8; write the file anew from texts")
TWICE = ("duplicate-key", "has a key or a field twice in one map or struct; keep one")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What Python has no value for, such as a time in the year 30000."""

    type: str

    def __str__(self) -> str:
        return self.type


def parquet_rows(file: Path) -> Iterator[tuple[int, Any, Note | None]]:
    """The rows of a Parquet file. Raises `DataError` if it is none, or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as table:
            yield from _numbered(file, table.iter_batches(batch_size=BATCH))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(file, "Parquet", error) from None


def arrow_rows(file: Path) -> Iterator[tuple[int, Any, Note | None]]:
    """The rows of an Arrow file or stream. Raises `DataError` if it is neither, or damaged."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(file)) as source:
            yield from _numbered(file, map(_checked, _batches(file, source)))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(file, "Arrow", error) from None


def _batches(file: Path, source: Any) -> Iterator[Any]:
    import pyarrow as pa

    stream = source.read(6) != b"ARROW1"
    source.seek(0)
    if not stream:
        opened = pa.ipc.open_file(source)
        yield from map(opened.get_batch, range(opened.num_record_batches))
        return
    yield from pa.ipc.open_stream(source)
    source.seek(max(source.size() - 8, 0))
    last = source.read(8)
    if not any(last.endswith(end) for end in END):
        raise DataError(f"{file}: breaks off without the mark that ends an Arrow stream; get the"
                        " file again")  # fmt: skip


def _checked(batch: Any) -> Any:
    """A batch whose offsets can be followed; texts that are not UTF-8 are found when read."""
    import pyarrow as pa

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "Invalid UTF8" not in str(error):
                raise
            column.view(_as_bytes(column.type)).validate(full=True)  # all else may be broken, too
    return batch


def _as_bytes(kind: Any) -> Any:
    """A type with bytes for texts, of which Arrow checks the offsets alone."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_struct(kind):
        return pa.struct([each.with_type(_as_bytes(each.type)) for each in kind])
    if types.is_map(kind):
        return pa.map_(_as_bytes(kind.key_type), _as_bytes(kind.item_type))
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _as_bytes(kind.value_type), kind.ordered)
    for is_such, listing in (
        (types.is_list, pa.list_),
        (types.is_large_list, pa.large_list),
        (types.is_list_view, pa.list_view),
    ):
        if is_such(kind):
            return listing(_as_bytes(kind.value_type))
    texts = {
        pa.string(): pa.binary(),
        pa.large_string(): pa.large_binary(),
        pa.string_view(): pa.binary_view(),
    }
    return texts.get(kind, kind)


def _numbered(file: Path, batches: Iterable[Any]) -> Iterator[tuple[int, Any, Note | None]]:
    number = 0
    for batch in batches:
        names = batch.schema.names
        if twice := [name for name in names if names.count(name) > 1]:
            raise DataError(f"{file}: column {twice[0]!r} is there twice; rename one")
        for start in range(0, batch.num_rows, BATCH):
            rows, notes = _values(batch.slice(start, BATCH))
            for index, values in enumerate(rows):
                number += 1
                yield number, values, notes.get(index) if notes else None


def _values(batch: Any) -> tuple[list[dict[str, Any]], dict[int, Note]]:
    """The rows of a batch, and what is wrong with some, by their indices."""
    # Without maps it is several times as fast.
    maps = "strict" if any("map<" in str(column) for column in batch.schema.types) else None
    try:
        return batch.to_pylist(maps_as_pydicts=maps), {}
    except UNREADABLE:
        notes: dict[int, Note] = {}
        cells = [
            [_cell(name, column, index, notes) for index in range(len(column))]
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        return [
            dict(zip(batch.schema.names, row, strict=True)) for row in zip(*cells, strict=True)
        ], notes


def _cell(name: str, column: Any, index: int, notes: dict[int, Note]) -> Any:
    try:
        return column[index].as_py(maps_as_pydicts="strict")
    except UnicodeDecodeError:
        notes.setdefault(index, (name, *NOT_UTF8))
    except UNREADABLE as error:
        if "duplicate" in str(error):
            notes.setdefault(index, (name, *TWICE))
    return Unreadable(str(column.type))


def _damaged(file: Path, kind: str, error: Exception) -> DataError:
    cause = next(iter(str(error).splitlines()), type(error).__name__)
    return DataError(f"{file}: not {kind}, or damaged ({cause}); get the file again")
