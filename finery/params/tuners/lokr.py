"""`tuner` of type lokr: a Kronecker product of a small matrix and one of low rank."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.adapter import PlacedParams, Positive, Rank, Share


class LokrParams(PlacedParams):
    """Low-rank Kronecker product (KronA, Edalati et al. 2022, arXiv:2212.10650)."""

    type: Literal["lokr"]
    rank: Rank = 8
    alpha: Positive = 8
    rank_dropout: Share = 0.0
    module_dropout: Share = 0.0
    decompose_both: bool = False
    """Whether the left matrix is of low rank too."""
    decompose_factor: Literal[-1] | Annotated[int, Field(ge=2)] = -1
    """How large the left matrix is; -1: about the root of the width."""
