"""`tuner` of type lora: an adapter of low rank."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.section import Section


class LoraParams(Section):
    """Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685)."""

    type: Literal["lora"]
    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    alpha: Annotated[float, Field(gt=0)] = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = "all-linear"
    """Layers that get an adapter: all-linear, or a list of names such as [q_proj, v_proj]."""
