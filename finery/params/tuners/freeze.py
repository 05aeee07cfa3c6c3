"""`tuner` of type freeze: some of the model's own layers are trained, the others are not."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finery.params.section import Section

Names = Annotated[list[str], Field(min_length=1)]


class FreezeParams(Section):
    """Whole layers, or parts of them, without an adapter (LLaMA-Factory's freeze_trainable_...)."""

    type: Literal["freeze"]
    trainable_layers: Annotated[int, Field(ge=-10_000, le=10_000)] = 2
    """How many blocks are trained: the last ones; the first ones if negative; 0 for none."""
    trainable_modules: Literal["all"] | Names = "all"
    """Parts of these blocks that are trained: all, or a list of names such as [mlp, q_proj]."""
    extra_modules: list[str] = []
    """Parts outside of the blocks that are trained too, such as [norm, lm_head]."""

    @model_validator(mode="after")
    def _trains_something(self) -> "FreezeParams":
        if not self.trainable_layers and not self.extra_modules:
            raise ValueError("trainable_layers: 0 trains nothing; name extra_modules, or raise it")
        return self
