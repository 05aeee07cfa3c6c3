"""Weights that are numbers: NaN or infinity in a model stops the stage that would read it."""

from pathlib import Path
from typing import Any

from finery import lineage
from finery.errors import UserError


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

    One tensor is in memory at a time.
    """
    from safetensors import safe_open

    for file in sorted(model.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (no mapping)
                if not _finite(tensors.get_tensor(name)):
                    return file, name
    return None


def _finite(tensor: Any) -> bool:
    """Whether all of a tensor is; integers are. Types of a byte know no isfinite of their own."""
    if not tensor.is_floating_point():
        return True
    return bool((tensor.float() if tensor.itemsize == 1 else tensor).isfinite().all())
