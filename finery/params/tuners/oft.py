"""`tuner` of type oft: the weights are rotated in blocks."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.adapter import PlacedParams, Share


class OftParams(PlacedParams):
    """Orthogonal fine-tuning (Qiu et al. 2023, arXiv:2306.07280; Qiu et al. 2025, 2506.19847)."""

    type: Literal["oft"]
    block_size: Annotated[int, Field(ge=2)] = 32
    """Must divide the widths of the layers."""
    block_share: bool = False
    """Whether all blocks of a layer are rotated alike."""
    dropout: Share = 0.0
    """Share of the blocks that are left as they are in a step."""
    use_cayley_neumann: bool = True
    """Approximate the rotation by a series, which is faster."""
