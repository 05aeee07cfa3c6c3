"""`method: grpo`: an answer is rewarded by its place among the others to the same prompt."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.reinforced import ReinforcedParams


class GrpoParams(ReinforcedParams):
    """Group relative policy optimization (Shao et al. 2024, arXiv:2402.03300)."""

    method: Literal["grpo"]
    loss_type: Literal[
        "grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"
    ] = "dapo"  # fmt: skip
    """By TRL's names."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """What an answer is better by is divided by the deviation of the rewards: of those to the same
    prompt, or of the batch; or not at all."""
    beta: Annotated[float, Field(ge=0)] = 0.0
    """How much the model is held to the one that the step started from."""
    epsilon_high: Annotated[float, Field(gt=0)] | None = None
    """The same upwards as epsilon; null: the same. DAPO has 0.28."""
