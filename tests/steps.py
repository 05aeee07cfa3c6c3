"""Steps of a training as params.yaml would have them, with what tests change in them."""

from typing import Any

from pydantic import TypeAdapter

from finery.params.step import StepParams
from finery.params.train import Step

READ = TypeAdapter(Step)
LEAST = {"after": "base", "method": "sft", "data": ["d"], "tuner": {"type": "lora"}}


def step(**settings: Any) -> StepParams:
    """A step with these settings; a supervised one of a LoRA adapter if they do not say."""
    return READ.validate_python(LEAST | settings).named("sft")
