"""`method: rloo`: an answer is rewarded for being better than the others to the same prompt."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.reinforced import ReinforcedParams


class RlooParams(ReinforcedParams):
    """REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv:2402.14740)."""

    method: Literal["rloo"]
    beta: Annotated[float, Field(ge=0)] = 0.05
    """What is taken off the reward for going away from the model that the step started from."""
    normalize_advantages: bool = False
    """Scale what an answer is better by to the deviation of the batch."""
