"""What prepare has left to train on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finery import lineage
from finery.errors import UserError
from finery.params.step import StepParams

KINDS = {"rejected_input_ids": ("preference",), "desirable": ("kto",)}
"""By the column that only they have; samples without either are conversations or texts."""
DATASET = "dataset"
"""The column that says which dataset a sample is of."""
TOKENS = ("input_ids", "labels")
WORDS = {"preference": "preferences", "kto": "verdicts (KTO)", "chat": "conversations",
         "text": "plain texts"}  # fmt: skip


class KindError(UserError):
    """The prepared samples are not made for this training."""


def refuse_other_kinds(data: Path, params: StepParams) -> None:
    """Raises `KindError` if the method of the step cannot learn from the samples of `data`."""
    import pyarrow.parquet as pq

    columns = pq.read_schema(data / "train.parquet").names
    found = next((kinds for column, kinds in KINDS.items() if column in columns), ("chat", "text"))
    if not set(found) & set(params.learns_from):
        held, wanted = (" or ".join(WORDS[k] for k in each) for each in (found, params.learns_from))
        raise KindError(
            f"{params.key}.data holds {held}, and {params.method} learns from {wanted}; name other"
            f" datasets, or another method"
        )


def read_samples(file: Path, columns: Sequence[str] = TOKENS) -> Any:
    """Columns of a prepared file, read into memory without a copy in any cache."""
    import pyarrow.parquet as pq
    from datasets import Dataset

    return Dataset(pq.read_table(file, columns=list(columns)))


def read_validation(data: Path, columns: Sequence[str] = TOKENS) -> Any:
    """The same of validation.parquet, and which dataset each sample is of: `by_dataset`."""
    return read_samples(data / "validation.parquet", [*columns, DATASET])


def by_dataset(samples: Any) -> dict[str, Any]:
    """The samples of each dataset, by its name; none if they do not say."""
    if samples is None or DATASET not in samples.column_names:
        return {}
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(samples[DATASET]):
        rows.setdefault(name, []).append(row)
    return {name: samples.select(rows[name]) for name in sorted(rows)}


def validated(data: Path) -> set[str]:
    """The datasets that there are samples of to validate on."""
    import pyarrow.parquet as pq

    return set(pq.read_table(data / "validation.parquet", columns=[DATASET])[0].to_pylist())


def packed_length(data: Path) -> int | None:
    """How long data.packing wants rows to be, in tokens; None if each sample is a row."""
    (prepared,) = lineage.of(lineage.read(data), "prepare").values() or [{}]
    return prepared.get("packed_to")
