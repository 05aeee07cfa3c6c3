"""A chain of reflections, by PEFT."""

from typing import Any

from finery.params.tuners.hra import HraParams
from finery.training.places import places


def peft_config(params: HraParams) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import HRAConfig

    return HRAConfig(r=params.rank, apply_GS=params.orthogonal, **places(params))
