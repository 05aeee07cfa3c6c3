"""`tuner` of type ia3: what layers compute is scaled by trained vectors."""

from typing import Literal

from pydantic import model_validator

from finery.params.adapter import Names
from finery.params.section import Section


class Ia3Params(Section):
    """Scaled keys, values and inner activations (Liu et al. 2022, arXiv:2205.05638)."""

    type: Literal["ia3"]
    target_modules: Names = ["k_proj", "v_proj", "down_proj"]
    """Layers that are scaled, by name."""
    feedforward_modules: list[str] = ["down_proj"]
    """Those of them whose input is scaled, and not their output."""
    modules_to_save: list[str] = []
    """Modules that are trained whole, beside the adapter."""

    @model_validator(mode="after")
    def _feedforward_is_targeted(self) -> "Ia3Params":
        apart = [name for name in self.feedforward_modules if name not in self.target_modules]
        if apart:
            raise ValueError(
                f"feedforward_modules: {', '.join(apart)} must be in target_modules too; ia3 scales"
                " the input of those, and the output of the others"
            )
        return self
