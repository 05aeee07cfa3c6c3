"""The prepared data on disk: Parquet files with one row a sample."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TOKENS = "list<int32>"
IMAGES = "image_files"
"""The column of what a sample sees: names of files in the folder `images` beside the samples."""
SAMPLE = {"dataset": "string", "input_ids": TOKENS, "labels": TOKENS}
SCHEMAS = {
    "samples": SAMPLE,
    "preference": SAMPLE | {"rejected_input_ids": TOKENS, "rejected_labels": TOKENS},
    "kto": SAMPLE | {"desirable": "bool"},
    "tests": {
        "dataset": "string",
        "question": "string",
        "prompt_ids": TOKENS,
        "reference": "string",
        "calls": "bool",
        "keywords": "list<string>",
        "input_ids": TOKENS,
        "labels": TOKENS,
    },
}

SEEN = {IMAGES: "list<string>"}
SCHEMAS |= {f"{kind}_seen": SCHEMAS[kind] | SEEN for kind in ("samples", "tests")}


def schema(kind: str) -> Any:
    """The Arrow schema of one of `SCHEMAS`."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "bool": pa.bool_(),
        TOKENS: pa.list_(pa.int32()),
        "list<string>": pa.list_(pa.string()),
    }
    return pa.schema([(name, types[column]) for name, column in SCHEMAS[kind].items()])


@contextmanager
def parquet_writer(file: Path, kind: str) -> Iterator[Any]:
    """A writer of tables of one of `SCHEMAS`; the same tables give the same bytes."""
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(file, schema(kind), compression="zstd") as writer:
        yield writer


def write_parquet(file: Path, kind: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows of one of `SCHEMAS`; the same rows give the same bytes."""
    import pyarrow as pa

    with parquet_writer(file, kind) as writer:
        writer.write_table(pa.Table.from_pylist(list(rows), schema=schema(kind)))


def with_images(kind: str) -> str:
    """The schema like `kind` of samples that may have images; itself if there is none."""
    return f"{kind}_seen" if f"{kind}_seen" in SCHEMAS else kind


def read_parquet(file: Path) -> list[dict[str, Any]]:
    """All rows of a prepared file."""
    import pyarrow.parquet as pq

    return pq.read_table(file).to_pylist()
