import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finery.data.errors import DataError
from finery.data.rows.files import TYPES, read_rows

LINE = b'{"a": "b"}\n'


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("d.json", LINE)
    return content.getvalue()


def table(suffix: str) -> bytes:
    rows, content = pa.table({"a": ["b"]}), io.BytesIO()
    if suffix == ".parquet":
        pq.write_table(rows, content)
        return content.getvalue()
    with pa.ipc.new_file(content, rows.schema) as sink:
        sink.write_table(rows)
    return content.getvalue()


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize(
    "content, problem",
    [
        (gzip.compress(LINE, mtime=0), "is packed with gzip; unpack it"),
        (bz2.compress(LINE), "is packed with bzip2; unpack it"),
        (lzma.compress(LINE), "is packed with xz; unpack it"),
        (pa.compress(LINE, "zstd", asbytes=True), "is packed with zstd; unpack it"),
        (zipped(), "is a ZIP archive or an Office document; unpack or export it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
         "is a pointer of Git LFS; run `git lfs pull`"),
    ],
    ids=["gzip", "bzip2", "xz", "zstd", "zip", "git-lfs"],
)  # fmt: skip
def test_files_that_are_something_else(tmp_path: Path, suffix: str, content: bytes, problem: str):
    file = tmp_path / f"d{suffix}"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_rows(file))
    assert str(caught.value) == f"{file}: {problem}"


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("right", [".parquet", ".arrow"])
def test_tables_of_another_name(tmp_path: Path, suffix: str, right: str):
    file = tmp_path / f"d{suffix}"
    file.write_bytes(table(right))
    if suffix == right:
        assert [row.values for row in read_rows(file)] == [{"a": "b"}]  # type: ignore[union-attr]
        return
    with pytest.raises(DataError) as caught:
        list(read_rows(file))
    name = right.removeprefix(".").capitalize()
    assert str(caught.value) == f"{file}: is {name}; name it {right}"


@pytest.mark.parametrize("page", ["<!DOCTYPE html>\n<p>", "\n <HTML lang=en>"])
def test_a_web_page_is_data_only_as_text(tmp_path: Path, page: str):
    for suffix in TYPES:
        file = tmp_path / f"d{suffix}"
        file.write_text(page)
        if suffix == ".txt":
            assert list(read_rows(file))
            continue
        with pytest.raises(DataError, match=r": is a web page; download the file itself$"):
            list(read_rows(file))
