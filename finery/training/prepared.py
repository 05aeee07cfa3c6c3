"""What prepare has left to train on."""

from pathlib import Path
from typing import Any

from finery import lineage
from finery.errors import UserError

OTHER_KINDS = {"rejected_input_ids": "preferences", "desirable": "verdicts (KTO)"}


class KindError(UserError):
    """The prepared samples are not made for this training."""


def refuse_other_kinds(data: Path) -> None:
    """Raises `KindError` if the samples of `data` are not for supervised fine-tuning."""
    import pyarrow.parquet as pq

    columns = pq.read_schema(data / "train.parquet").names
    for column, kind in OTHER_KINDS.items():
        if column in columns:
            raise KindError(
                f"data.train holds {kind}, and this training learns from conversations and texts"
                " only; name other datasets"
            )


def read_samples(file: Path) -> Any:
    """The token columns of a prepared file, read into memory without a copy in any cache."""
    import pyarrow.parquet as pq
    from datasets import Dataset

    return Dataset(pq.read_table(file, columns=["input_ids", "labels"]))


def packed_length(data: Path) -> int | None:
    """How long data.packing wants rows to be, in tokens; None if each sample is a row."""
    return lineage.read(data).get("prepare", {}).get("packed_to")
