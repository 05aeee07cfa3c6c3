"""Weights that are numbers: NaN or infinity in a model stops the stage that would read it."""

from pathlib import Path
from typing import Any

from finery import lineage
from finery.errors import UserError
from finery.models.stored import Stored, blocks


class WeightError(UserError):
    """A model has a weight that is NaN or infinite."""


def insist_on_numbers(model: Path, advice: str) -> None:
    """Read every weight of a model. Raises `WeightError`, ending in `advice`, if one is none."""
    if (found := no_number(model)) is not None:
        file, name = found
        raise WeightError(f"{file}: {name} holds NaN or infinity; {advice}")


def remedy(model: Path) -> str:
    """What to do about such a model: take another, or make it again if the pipeline made it."""
    made = lineage.maker(model)
    if made in (None, "download"):
        return "take another revision, or another model (model.source)"
    return f"run `dvc repro -f {made}`"


def no_number(model: Path) -> tuple[Path, str] | None:
    """The first tensor of a folder's safetensors files with a NaN or an infinity: file and name.

    A few rows of one are in memory at a time.
    """
    for file in sorted(model.glob("*.safetensors")):
        stored = Stored([file])
        for name in stored:
            rows = blocks(stored.shape(name))
            if not all(is_finite(stored.rows(name, begin, end)) for begin, end in rows):
                return file, name
    return None


def is_finite(tensor: Any) -> bool:
    """Whether all of a tensor is; integers are. Types of a byte know no isfinite of their own."""
    import torch

    if not tensor.is_floating_point():
        return True
    wide = tensor.float() if tensor.itemsize == 1 else tensor
    if wide.sum(dtype=max(wide.dtype, torch.float32, key=lambda kind: kind.itemsize)).isfinite():
        return True  # a sum is quick, and no number if one that is in it is none
    return bool(wide.isfinite().all())
