"""`method: kto`: from single answers that are marked as good or bad."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.step import StepParams


class KtoParams(StepParams):
    """Kahneman-Tversky optimization (Ethayarajh et al. 2024, arXiv:2402.01306)."""

    learns_from = ("kto",)
    method: Literal["kto"]
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    loss: Literal["kto", "apo_zero_unpaired"] = "kto"
    """kto needs a per_device_batch_size of 2 or more: how far the model is from what it starts
    from is estimated on the answers to the other questions of a batch."""
    beta: Annotated[float, Field(gt=0)] = 0.1
    """How much the model is held to what it starts from."""
    desirable_weight: Annotated[float, Field(gt=0)] = 1.0
    """What a good answer counts; raise it if there are fewer good ones than bad ones."""
    undesirable_weight: Annotated[float, Field(gt=0)] = 1.0
    """What a bad answer counts."""
