"""Kronecker products of low rank, by PEFT."""

from typing import Any

from finery.params.tuners.lokr import LokrParams
from finery.training.places import places


def peft_config(params: LokrParams) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import LoKrConfig

    return LoKrConfig(
        r=params.rank,
        alpha=params.alpha,
        rank_dropout=params.rank_dropout,
        module_dropout=params.module_dropout,
        decompose_both=params.decompose_both,
        decompose_factor=params.decompose_factor,
        **places(params),
    )
