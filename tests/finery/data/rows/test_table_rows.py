import datetime
import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finery.data.errors import DataError
from finery.data.rows.bad_rows import BadRow
from finery.data.rows.files import Row, read_rows
from finery.data.rows.table_rows import Unreadable

NOT_UTF8 = pa.array([b"ok", b"caf\xe9", b"ok"]).view(pa.string())
MAP = pa.map_(pa.string(), pa.int64())
TWICE = pa.array([[("a", 1)], [("a", 1), ("a", 2)], None], MAP)


def written(folder: Path, table: Any) -> Iterator[Path]:
    """The table as Parquet and as Arrow."""
    pq.write_table(table, folder / "d.parquet")
    with pa.ipc.new_file(folder / "d.arrow", table.schema) as sink:
        sink.write_table(table)
    yield from (folder / "d.parquet", folder / "d.arrow")


def stream() -> tuple[bytes, list[int]]:
    """A stream of five thousand rows, and where each of its five batches ends."""
    batch, sink, ends = pa.record_batch({"a": ["x" * 100] * 1000}), io.BytesIO(), []
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        for _ in range(5):
            writer.write_batch(batch)
            ends.append(sink.tell())
    return sink.getvalue(), ends


@pytest.mark.parametrize(
    "column, said",
    [
        (NOT_UTF8, "a: is not UTF-8; write the file anew from texts"),
        (pa.StructArray.from_arrays([NOT_UTF8], ["x"]),
         "a: is not UTF-8; write the file anew from texts"),
        (pa.StructArray.from_arrays([pa.ListArray.from_arrays([0, 1, 2, 3], NOT_UTF8)], ["x"]),
         "a: is not UTF-8; write the file anew from texts"),
        (pa.MapArray.from_arrays([0, 1, 2, 3], NOT_UTF8, NOT_UTF8),
         "a: is not UTF-8; write the file anew from texts"),
        (NOT_UTF8.dictionary_encode(), "a: is not UTF-8; write the file anew from texts"),
        (TWICE, "a: has a key or a field twice in one map or struct; keep one"),
        (pa.StructArray.from_arrays([TWICE], ["x"]),
         "a: has a key or a field twice in one map or struct; keep one"),
    ],
)  # fmt: skip
def test_a_value_that_is_broken_is_a_bad_row(tmp_path: Path, column: Any, said: str):
    for file in written(tmp_path, pa.table({"a": column, "b": [1, 2, 3]})):
        first, bad, last = read_rows(file)
        assert isinstance(first, Row) and isinstance(last, Row)
        assert (first.number, first.values["b"], last.number, last.values["b"]) == (1, 1, 3, 3)
        assert isinstance(bad, BadRow) and str(bad) == f"{file}: row 2: {said}"


def test_a_map_is_an_object(tmp_path: Path):
    column = pa.array([[("b", 1), ("a", None)], [], None], MAP)
    for file in written(tmp_path, pa.table({"a": column})):
        values = [row.values["a"] for row in read_rows(file) if isinstance(row, Row)]
        assert values == [{"b": 1, "a": None}, {}, None]
        assert list(values[0]) == ["b", "a"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([10**15, 0], pa.timestamp("s")),
        pa.array([0, 1], pa.timestamp("s", "Nowhere/Land")),
        pa.array([10**8, 0], pa.int32()).view(pa.date32()),
    ],
)
def test_a_time_that_python_has_not_harms_no_other_column(tmp_path: Path, column: Any):
    for file in written(tmp_path, pa.table({"at": column, "b": ["x", "y"]})):
        first, second = read_rows(file)
        assert isinstance(first, Row) and isinstance(second, Row)
        assert (first.values["b"], second.values["b"]) == ("x", "y")
        if "Nowhere" not in str(column.type):
            assert isinstance(second.values["at"], datetime.date)
            assert str(first.values["at"]).split("[")[0] == str(column.type).split("[")[0]
            assert pickle.loads(pickle.dumps(first)) == first
            assert isinstance(first.values["at"], Unreadable)


@pytest.mark.parametrize("cut", [1, 60, 200, 104040, 260000])
def test_a_stream_that_breaks_off(tmp_path: Path, cut: int):
    file, (whole, _) = tmp_path / "d.arrow", stream()
    file.write_bytes(whole)
    assert sum(1 for _ in read_rows(file)) == 5000
    file.write_bytes(whole[:-cut])
    with pytest.raises(DataError, match=r"d\.arrow: .*; get the file again$"):
        list(read_rows(file))


@pytest.mark.parametrize("batches", range(1, 6))
def test_a_stream_that_breaks_off_between_two_batches(tmp_path: Path, batches: int):
    file, (whole, ends) = tmp_path / "d.arrow", stream()
    file.write_bytes(whole[: ends[batches - 1]])
    with pytest.raises(DataError) as caught:
        list(read_rows(file))
    said = "breaks off without the mark that ends an Arrow stream; get the file again"
    assert str(caught.value) == f"{file}: {said}"


def test_offsets_that_lead_out_of_a_file(tmp_path: Path):
    file = tmp_path / "d.arrow"
    table = pa.table({"a": ["one", "two", "three"]})
    with pa.ipc.new_file(file, table.schema) as sink:
        sink.write_table(table)
    offsets = b"".join(n.to_bytes(4, "little") for n in (0, 3, 6, 11))
    content = file.read_bytes()
    assert content.count(offsets) == 1
    file.write_bytes(content.replace(offsets, offsets[:8] + b"\xff\xff\xff\x7f" + offsets[12:]))
    with pytest.raises(DataError, match=r"d\.arrow: not Arrow, or damaged \(.*; get the file"):
        list(read_rows(file))


def test_offsets_that_lead_out_of_a_file_beside_a_text_that_is_not_utf_8(tmp_path: Path):
    """Arrow tells of a column's first fault alone; to read on with such offsets would crash."""
    file = tmp_path / "d.arrow"
    lists = pa.ListArray.from_arrays([0, 1, 2, 3], NOT_UTF8)
    table = pa.table({"a": pa.StructArray.from_arrays([NOT_UTF8, lists], ["x", "y"])})
    with pa.ipc.new_file(file, table.schema) as sink:
        sink.write_table(table)
    content, offsets = file.read_bytes(), b"".join(n.to_bytes(4, "little") for n in (0, 1, 2, 3))
    assert content.count(offsets) == 1
    assert [isinstance(row, BadRow) for row in read_rows(file)] == [False, True, False]
    file.write_bytes(content.replace(offsets, offsets[:8] + b"\xff\xff\xff\x7f" + offsets[12:]))
    with pytest.raises(DataError, match=r"d\.arrow: not Arrow, or damaged \(.*; get the file"):
        list(read_rows(file))


def test_a_page_whose_checksum_is_wrong(tmp_path: Path):
    file = tmp_path / "d.parquet"
    table = pa.table({"a": ["lighthouse", "harbour"]})
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(table, file, write_page_checksum=True, **options)
    content = file.read_bytes()
    assert content.count(b"harbour") == 1
    file.write_bytes(content.replace(b"harbour", b"hbrbour"))
    with pytest.raises(DataError, match=r"d\.parquet: not Parquet, or damaged \(.*[Cc][Rr][Cc]"):
        list(read_rows(file))
