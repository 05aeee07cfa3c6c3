"""`tuner` of type miss: shards of the weights that share what is added to them (once Bone)."""

from typing import Literal

from finery.params.adapter import PlacedParams, Rank, Share


class MissParams(PlacedParams):
    """Matrix shard sharing (Kang et al. 2024, arXiv:2409.15371)."""

    type: Literal["miss"]
    rank: Rank = 64
    dropout: Share = 0.0
    init: Literal["default", "bat"] = "default"
    """bat: what is added goes through the weight, slower and stronger."""
