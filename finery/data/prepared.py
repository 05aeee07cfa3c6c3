"""The prepared data on disk: Parquet files with one row a sample."""

from pathlib import Path
from typing import Any

SCHEMAS = {
    "samples": {"dataset": "string", "input_ids": "list<int32>", "labels": "list<int32>"},
    "tests": {
        "dataset": "string",
        "question": "string",
        "prompt_ids": "list<int32>",
        "reference": "string",
        "keywords": "list<string>",
        "input_ids": "list<int32>",
        "labels": "list<int32>",
    },
}


def write_parquet(file: Path, kind: str, rows: list[dict[str, Any]]) -> None:
    """Write rows of one of `SCHEMAS`; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "string": pa.string(),
        "list<int32>": pa.list_(pa.int32()),
        "list<string>": pa.list_(pa.string()),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in SCHEMAS[kind].items()])
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")


def read_parquet(file: Path) -> list[dict[str, Any]]:
    """All rows of a prepared file."""
    import pyarrow.parquet as pq

    return pq.read_table(file).to_pylist()
