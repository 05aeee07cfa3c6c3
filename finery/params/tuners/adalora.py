"""`tuner` of type adalora: LoRA whose ranks go to the layers that need them most."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finery.params.adapter import PlacedParams, Positive, Rank, Share


class AdaloraParams(PlacedParams):
    """Ranks begin at init_rank and are pruned to target_rank on average (arXiv:2303.10512)."""

    type: Literal["adalora"]
    target_rank: Rank = 8
    init_rank: Rank = 12
    alpha: Positive = 16
    dropout: Share = 0.0
    begin: Share = 0.1
    """Share of the steps before the pruning begins."""
    end: Share = 0.3
    """Share of the steps, at the end, that go on with the ranks that there are then."""
    every: Annotated[int, Field(ge=1)] = 1
    """Steps from one pruning to the next."""

    @model_validator(mode="after")
    def _prunes(self) -> "AdaloraParams":
        if self.init_rank <= self.target_rank:
            raise ValueError("init_rank: must be above target_rank, to which it is pruned")
        if self.begin + self.end >= 1:
            raise ValueError("begin: with end it takes all of the steps; no ranks would be pruned")
        return self
