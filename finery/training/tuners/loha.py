"""Low-rank Hadamard products, by PEFT."""

from typing import Any

from finery.params.tuners.loha import LohaParams
from finery.training.places import places


def peft_config(params: LohaParams) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import LoHaConfig

    return LoHaConfig(
        r=params.rank,
        alpha=params.alpha,
        rank_dropout=params.rank_dropout,
        module_dropout=params.module_dropout,
        **places(params),
    )
