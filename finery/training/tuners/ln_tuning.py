"""The normalization layers alone, by PEFT."""

from typing import Any

from finery.params.tuners.ln_tuning import LnTuningParams


def peft_config(params: LnTuningParams) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import LNTuningConfig

    return LNTuningConfig(
        target_modules=params.target_modules, modules_to_save=params.modules_to_save or None
    )
