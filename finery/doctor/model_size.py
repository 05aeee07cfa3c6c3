"""How large the base model is, from the headers of its safetensors files."""

import math
from dataclasses import dataclass
from pathlib import Path

from finery.check.facts import read_model
from finery.check.memory.shape import shape
from finery.check.memory.step import trained_by
from finery.check.settings import model_folder, quantized_folder
from finery.models.layer_widths import Tensors, linears
from finery.models.tensors import tensors
from finery.params.schema import Params


@dataclass(frozen=True)
class ModelSize:
    parameters: int
    stored: int
    """Bytes of its weights on disk, and of those in GPTQ or AWQ beside them."""
    linears: list[tuple[int, int]]
    """Outputs and inputs of each linear layer inside the decoder blocks."""
    trained: dict[str, int]
    """How many weights each step of the training trains: few of an adapter, or all."""


def model_size(params: Params) -> ModelSize | None:
    """The size of the model that params.yaml names; None while it is not on this machine."""
    folder, beside = model_folder(params), quantized_folder(params)
    found = tensors(folder) if folder else {}
    if folder is None or not found:
        return None
    return ModelSize(
        parameters=sum(math.prod(each["shape"]) for each in found.values()),
        stored=_stored(found) + (_stored(tensors(beside)) if beside else 0),
        linears=list(linears(found).values()),
        trained=_trained(params, folder),
    )


def _trained(params: Params, folder: Path) -> dict[str, int]:
    form = shape(read_model(folder))
    steps = params.train.items() if form else ()
    return {name: trained_by(form, step).weights for name, step in steps}


def _stored(found: Tensors) -> int:
    return sum(end - start for start, end in (each["data_offsets"] for each in found.values()))
