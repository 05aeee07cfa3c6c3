"""`tuner` of type ln_tuning: the normalization layers alone."""

from typing import Literal

from finery.params.adapter import Names
from finery.params.section import Section


class LnTuningParams(Section):
    """Only the norms are trained (Zhao et al. 2023, arXiv:2312.11420)."""

    type: Literal["ln_tuning"]
    target_modules: Names = ["input_layernorm", "post_attention_layernorm", "norm"]
    """Norms by name."""
    modules_to_save: list[str] = []
    """Modules that are trained whole, beside them."""
