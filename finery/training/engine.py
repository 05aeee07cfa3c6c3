"""How a step's model is computed: the attention that is there, and what a GPU alone has."""

from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.models.load import device
from finery.models.rope import RopeError, stretched
from finery.params.engine import GPU_ONLY
from finery.params.step import StepParams


class EngineError(UserError):
    """The step asks for a computation that there is not for it here."""


def model_settings(params: StepParams, start: Path, dtype: str) -> dict[str, Any]:
    """What to load the model in `start` with, to train in `dtype` (torch's name)."""
    scaling = params.rope_scaling.model_dump() if params.rope_scaling else None
    try:
        return stretched(start, scaling) | _attention(params, dtype)
    except RopeError as error:
        raise EngineError(f"{params.key}.rope_scaling: {error}") from None


def _attention(params: StepParams, dtype: str) -> dict[str, str]:
    """Nothing where transformers is to choose: torch's, or the model's own if it has no other."""
    chosen, half = params.attn_implementation, dtype != "float32"
    if chosen in GPU_ONLY and not half:
        raise EngineError(
            f"{params.key}.attn_implementation: {chosen} computes in half precision alone, and the"
            f" step is in float32; set {params.key}.precision: bf16"
        )
    if chosen == "auto":
        return {"attn_implementation": "flash_attention_2"} if half and _has_flash() else {}
    return {"attn_implementation": chosen}


def _has_flash() -> bool:
    from transformers.utils import is_flash_attn_2_available

    return device() != "cpu" and is_flash_attn_2_available()
