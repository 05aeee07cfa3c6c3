"""Low-rank adaptation, by PEFT."""

from typing import Any

from finery.params.tuners.lora import LoraParams


def peft_config(params: LoraParams) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import LoraConfig

    return LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=params.target_modules,
    )
