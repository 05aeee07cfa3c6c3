"""`method: simpo`: of two answers the better one by a margin, a token, without a reference."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.step import StepParams


class SimpoParams(StepParams):
    """Simple preference optimization (Meng et al. 2024, arXiv:2405.14734)."""

    learns_from = ("preference",)
    method: Literal["simpo"]
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    beta: Annotated[float, Field(gt=0)] = 2.0
    """What the mean log-probability of an answer's tokens is multiplied by."""
    gamma: Annotated[float, Field(ge=0)] = 1.0
    """The margin that the better answer is to have; the paper has 0.2 to 0.8 times beta."""
    sft_weight: Annotated[float, Field(ge=0)] = 0.0
    """What the loss of supervised fine-tuning on the better answer counts beside it."""
