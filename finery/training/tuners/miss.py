"""Shards that share what is added to them, by PEFT."""

from typing import Any

from finery.params.tuners.miss import MissParams
from finery.training.places import places


def peft_config(params: MissParams) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import MissConfig

    return MissConfig(
        r=params.rank,
        miss_dropout=params.dropout,
        init_weights=True if params.init == "default" else params.init,
        **places(params),
    )
