"""What the settings of several kinds of adapters have in common: where they are put."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.section import Section

Numbers = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Names = Annotated[list[str], Field(min_length=1)]
Rank = Annotated[int, Field(ge=1, le=1024)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class AdapterParams(Section):
    """An adapter on layers of the model, and other modules that are trained whole beside it."""

    target_modules: Literal["all-linear"] | Names = "all-linear"
    """Layers that get an adapter: all-linear, or a list of names such as [q_proj, v_proj]."""
    modules_to_save: list[str] = []
    """Modules that are trained whole, beside the adapter, such as [embed_tokens, lm_head]."""


class PlacedParams(AdapterParams):
    """An adapter that can be kept away from some of the layers."""

    exclude_modules: list[str] = []
    """Layers that get none although target_modules has them."""
    layers_to_transform: Numbers | None = None
    """Numbers of the blocks that get an adapter, from 0; null: all."""
