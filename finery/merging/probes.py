"""What a merge is measured on: the first calibration samples, with their images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finery.merging.fidelity import Probe
from finery.models.pictures import FOLDER, Pictures

IMAGES = "image_files"
"""What a sample sees: names of files in the folder `images` beside the samples."""


def probes(samples: Sequence[dict[str, Any]], model: Path, data: Path) -> list[Probe]:
    """The tokens of each sample; for a model that reads images, with what it takes of them."""
    if (pictures := Pictures.of(model)) is None:
        return [sample["input_ids"] for sample in samples]
    return [_seen(sample, pictures, data / FOLDER) for sample in samples]


def _seen(sample: dict[str, Any], pictures: Pictures, folder: Path) -> Probe:
    import torch

    ids = torch.tensor([sample["input_ids"]])
    files = [folder / name for name in sample.get(IMAGES) or ()]
    return {"input_ids": ids} | pictures.inputs(files, ids)
