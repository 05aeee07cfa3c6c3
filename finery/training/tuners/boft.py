"""Rotations in butterfly factors, by PEFT."""

from typing import Any

from finery.params.tuners.boft import BoftParams
from finery.training.places import places


def peft_config(params: BoftParams) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import BOFTConfig

    return BOFTConfig(
        boft_block_size=params.block_size,
        boft_n_butterfly_factor=params.butterfly_factors,
        boft_dropout=params.dropout,
        **places(params),
    )
