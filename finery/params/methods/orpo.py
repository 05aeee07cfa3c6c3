"""`method: orpo`: fine-tuning on the better answer and preferring it to the worse, in one."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.step import StepParams


class OrpoParams(StepParams):
    """Odds ratio preference optimization (Hong et al. 2024, arXiv:2403.07691)."""

    learns_from = ("preference",)
    method: Literal["orpo"]
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    beta: Annotated[float, Field(gt=0)] = 0.1
    """What the odds ratio counts beside the loss of supervised fine-tuning; lambda in the paper."""
