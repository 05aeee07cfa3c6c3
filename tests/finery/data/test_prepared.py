from pathlib import Path

import pyarrow.parquet as pq
import pytest

from finery.data.prepared import SCHEMAS, read_parquet, write_parquet

SAMPLE = {"dataset": "d", "input_ids": [1, 2, 3], "labels": [-100, 2, 3]}
TEST = SAMPLE | {"question": "谁?", "prompt_ids": [1], "reference": "😀", "calls": False}
TEST |= {"keywords": ["a", "b"]}


@pytest.mark.parametrize(
    "kind, rows", [("samples", [SAMPLE] * 300), ("tests", [TEST, TEST | {"keywords": []}])]
)
def test_what_is_written_is_read_and_is_the_same_bytes_twice(
    tmp_path: Path, kind: str, rows: list[dict]
):
    first, second = tmp_path / "a" / "d.parquet", tmp_path / "b" / "d.parquet"
    write_parquet(first, kind, rows)
    write_parquet(second, kind, rows)
    assert read_parquet(first) == rows
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("kind", SCHEMAS)
def test_no_rows_have_the_same_columns(tmp_path: Path, kind: str):
    file = tmp_path / "d.parquet"
    write_parquet(file, kind, [])
    assert read_parquet(file) == []
    assert pq.read_schema(file).names == list(SCHEMAS[kind])
