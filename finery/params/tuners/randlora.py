"""`tuner` of type randlora: trained sums of random matrices, so what is added has full rank."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.adapter import AdapterParams, Positive, Rank, Share


class RandloraParams(AdapterParams):
    """Random bases of full rank (Albert et al. 2025, arXiv:2502.00987)."""

    type: Literal["randlora"]
    rank: Rank = 32
    alpha: Positive = 640
    dropout: Share = 0.0
    projection_seed: Annotated[int, Field(ge=0)] = 0
    """What the random matrices are drawn by."""
