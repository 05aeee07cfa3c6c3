"""Trained vectors that scale what layers compute, by PEFT."""

from typing import Any

from finery.params.tuners.ia3 import Ia3Params


def peft_config(params: Ia3Params) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import IA3Config

    return IA3Config(
        target_modules=params.target_modules,
        feedforward_modules=params.feedforward_modules,
        modules_to_save=params.modules_to_save or None,
    )
