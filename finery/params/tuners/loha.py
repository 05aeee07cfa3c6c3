"""`tuner` of type loha: two products of low rank, multiplied number by number."""

from typing import Literal

from finery.params.adapter import PlacedParams, Positive, Rank, Share


class LohaParams(PlacedParams):
    """Low-rank Hadamard product (FedPara, Hyeon-Woo et al. 2021, arXiv:2108.06098)."""

    type: Literal["loha"]
    rank: Rank = 8
    alpha: Positive = 8
    rank_dropout: Share = 0.0
    module_dropout: Share = 0.0
