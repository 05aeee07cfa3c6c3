"""How large the base model is, from the headers of its safetensors files."""

import math
from dataclasses import dataclass

from finery.check.settings import model_folder
from finery.models.layer_widths import linears
from finery.models.tensors import tensors
from finery.params.schema import Params


@dataclass(frozen=True)
class ModelSize:
    parameters: int
    stored: int
    """Bytes of its weights on disk."""
    linears: list[tuple[int, int]]
    """Outputs and inputs of each linear layer inside the decoder blocks."""


def model_size(params: Params) -> ModelSize | None:
    """The size of the model that params.yaml names; None while it is not on this machine."""
    folder = model_folder(params)
    found = tensors(folder) if folder else {}
    if folder is None or not found:
        return None
    return ModelSize(
        parameters=sum(math.prod(each["shape"]) for each in found.values()),
        stored=sum(end - start for start, end in (t["data_offsets"] for t in found.values())),
        linears=list(linears(found).values()),
    )
