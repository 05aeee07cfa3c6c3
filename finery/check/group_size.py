"""Whether the groups of 4-bit weights divide the layers of a model."""

from typing import get_args

from finery.check.facts import Model
from finery.models.layer_widths import undivided
from finery.params.quantize import GroupSize


def group_size_problem(model: Model, size: int) -> str | None:
    """A group that does not divide a layer's width quantizes in silence and crashes when served."""
    widths = undivided(model.language, size)
    if not widths:
        return None
    fitting = [fit for fit in get_args(GroupSize)[::-1] if not undivided(model.language, fit)]
    advice = f"use {' or '.join(map(str, fitting))}" if fitting else "no group size does"
    return (
        f"{size} does not divide the layer widths {', '.join(map(str, widths))} of {model.folder};"
        f" {advice}"
    )
