"""`tuner` of type vera: random matrices that all layers share, scaled by trained vectors."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.adapter import AdapterParams, Positive, Share


class VeraParams(AdapterParams):
    """Vector-based random matrix adaptation (Kopiczko et al. 2023, arXiv:2310.11454)."""

    type: Literal["vera"]
    rank: Annotated[int, Field(ge=1, le=4096)] = 256
    dropout: Share = 0.0
    d_initial: Positive = 0.1
    """What the inner vector begins as."""
    projection_seed: Annotated[int, Field(ge=0)] = 0
    """What the random matrices are drawn by."""
