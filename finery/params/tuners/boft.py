"""`tuner` of type boft: rotations in butterfly factors."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.adapter import PlacedParams, Share


class BoftParams(PlacedParams):
    """Orthogonal fine-tuning by butterfly factors (Liu et al. 2023, arXiv:2311.06243)."""

    type: Literal["boft"]
    block_size: Annotated[int, Field(ge=2)] = 4
    """Must divide the widths of the layers."""
    butterfly_factors: Annotated[int, Field(ge=1, le=10)] = 1
    """Factors multiplied; a block of 2 to this power must fit into the widths of the layers."""
    dropout: Share = 0.0
