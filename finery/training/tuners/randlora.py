"""Trained sums of random matrices, by PEFT."""

from typing import Any

from finery.params.tuners.randlora import RandloraParams


def peft_config(params: RandloraParams) -> Any:
    """PEFT's configuration; the task type is the method's to set.

    The random matrices are saved with the adapter: they are not the same on every machine.
    """
    from peft import RandLoraConfig

    return RandLoraConfig(
        r=params.rank,
        randlora_alpha=params.alpha,
        randlora_dropout=params.dropout,
        projection_prng_key=params.projection_seed,
        target_modules=params.target_modules,
        modules_to_save=params.modules_to_save or None,
    )
