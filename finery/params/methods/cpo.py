"""`method: cpo`: of two answers the better one, without a reference."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.step import StepParams


class CpoParams(StepParams):
    """Contrastive preference optimization (Xu et al. 2024, arXiv:2401.08417)."""

    learns_from = ("preference",)
    method: Literal["cpo"]
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    loss: Literal["sigmoid", "hinge", "ipo"] = "sigmoid"
    beta: Annotated[float, Field(gt=0)] = 0.1
    """What the difference of the answers' log-probabilities is multiplied by; tau of ipo."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Share of the pairs that are taken to be the wrong way round; of sigmoid."""
    sft_weight: Annotated[float, Field(ge=0)] = 1.0
    """What the loss of supervised fine-tuning on the better answer counts beside it."""
