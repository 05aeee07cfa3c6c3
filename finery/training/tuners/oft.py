"""Rotations of the weights in blocks, by PEFT."""

from typing import Any

from finery.params.tuners.oft import OftParams
from finery.training.places import places


def peft_config(params: OftParams) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import OFTConfig

    return OFTConfig(
        oft_block_size=params.block_size,
        block_share=params.block_share,
        module_dropout=params.dropout,
        use_cayley_neumann=params.use_cayley_neumann,
        **places(params),
    )
