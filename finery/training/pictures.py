"""Samples with images in batches: their tokens padded, their images as the model takes them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finery.models.pictures import FOLDER, Pictures

IMAGES = "image_files"
"""The column of prepared samples that names a sample's images; only where a model reads them."""
IGNORED = -100


def has_images(data: Path) -> bool:
    """Whether samples in `data` may have images."""
    import pyarrow.parquet as pq

    return IMAGES in pq.read_schema(data / "train.parquet").names


def collator(model: Path, data: Path) -> Callable[[Sequence[dict[str, Any]]], dict[str, Any]]:
    """Makes batches of samples of `data`, whose images lie there, for the model in a folder."""
    pictures, folder = Pictures(model), data / FOLDER

    def collate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        ids = [torch.as_tensor(row["input_ids"]) for row in rows]
        labels = [torch.as_tensor(row["labels"]) for row in rows]
        batch = {
            "input_ids": pad_sequence(ids, True, pictures.padding),
            "attention_mask": pad_sequence([torch.ones_like(each) for each in ids], True, 0),
            "labels": pad_sequence(labels, True, IGNORED),
        }
        files = [folder / name for row in rows for name in row[IMAGES]]
        return batch | pictures.inputs(files, batch["input_ids"])

    return collate


class SeesImages:
    """For TRL's SFTTrainer: the column of the images comes to the collator, too."""

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if IMAGES not in self._signature_columns:
            self._signature_columns = [*self._signature_columns, IMAGES]
