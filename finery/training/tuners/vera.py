"""Random matrices that all layers share, by PEFT."""

from typing import Any

from finery.params.tuners.vera import VeraParams


def peft_config(params: VeraParams) -> Any:
    """PEFT's configuration; the task type is the method's to set.

    The random matrices are saved with the adapter: they are not the same on every machine.
    """
    from peft import VeraConfig

    return VeraConfig(
        r=params.rank,
        d_initial=params.d_initial,
        vera_dropout=params.dropout,
        projection_prng_key=params.projection_seed,
        target_modules=params.target_modules,
        modules_to_save=params.modules_to_save or None,
    )
