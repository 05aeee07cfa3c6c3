"""The widths of the linear layers inside the repeated blocks of a model."""

import re
from collections.abc import Mapping
from typing import Any

from finery.models.tensors import IN_A_BLOCK

EXPERTS = re.compile(r"(^|\.)experts\.\w+(\.weight)?$")
Tensors = Mapping[str, Mapping[str, Any]]


def linears(found: Tensors) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of each linear layer inside the blocks, by its name.

    A weight is stored as outputs x inputs, but by GPT-2's Conv1D as inputs x outputs: the bias
    beside it tells them apart, since it is as long as there are outputs.
    """
    layers = {}
    for name, tensor in found.items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight" and len(tensor["shape"]) == 2 and IN_A_BLOCK.search(name):
            rows, columns = tensor["shape"]
            bias = found.get(f"{layer}.bias", {}).get("shape")
            transposed = bias == [columns] and rows != columns
            layers[layer] = (columns, rows) if transposed else (rows, columns)
    return layers


def layer_widths(found: Tensors) -> dict[str, int]:
    """How many numbers go into each linear layer inside the blocks, by its name.

    Experts that are stored in one tensor (experts x a x b) are of either width, the second under
    the name with an "in": a model has both, since what goes in to one half of an expert comes out
    of the other.
    """
    widths = {name: inputs for name, (_, inputs) in linears(found).items()}
    for name, tensor in found.items():
        if len(tensor["shape"]) == 3 and EXPERTS.search(name) and IN_A_BLOCK.search(name):
            widths |= dict(zip((name, f"{name}.in"), tensor["shape"][1:], strict=True))
    return widths
