"""What a step starts with: the model it goes on from, and the adapter that it puts on it."""

from importlib import import_module
from pathlib import Path
from typing import Any

from finery.models.load import load_model
from finery.models.scoring import load_scorer
from finery.params.step import StepParams


def load_start(params: StepParams, start: Path, dtype: str) -> Any:
    """The model in `start`, in the type to train in (torch's name); with a head that scores where
    the step makes a reward model.
    """
    return load_scorer(start, dtype, params.seed) if params.scores else load_model(start, dtype)


def peft_config(params: StepParams, task_type: str = "CAUSAL_LM") -> Any:
    """PEFT's configuration of the step's tuner; None if the model's own weights are trained."""
    tuner = import_module(f"finery.training.tuners.{params.tuner.type}")
    if (config := tuner.peft_config(params.tuner)) is not None:
        config.task_type = task_type
    return config
