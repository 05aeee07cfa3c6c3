"""`method: reward`: a model that scores answers, for grpo and rloo to learn from."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.step import StepParams


class RewardParams(StepParams):
    """A reward model after Bradley and Terry (Ouyang et al. 2022, arXiv:2203.02155)."""

    learns_from = ("preference",)
    scores = True
    method: Literal["reward"]
    center_rewards_coefficient: Annotated[float, Field(gt=0)] | None = None
    """How much the scores are held around zero (Eisenstein et al. 2023, arXiv:2312.09244), such as
    0.01; null: not at all."""
