"""What steps of reinforcement learning have: answers are sampled, rewarded, and learnt from."""

from collections.abc import Iterator
from math import prod
from typing import Annotated

from pydantic import Field, model_validator

from finery.params.step import StepParams


class ReinforcedParams(StepParams):
    """Effective batch size counts answers: with 8 a prompt and 32 a step, 4 prompts have a step."""

    learns_from = ("chat", "preference")
    judged = True
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-6
    num_generations: Annotated[int, Field(ge=2)] = 8
    """Answers sampled for a prompt, which are compared with each other."""
    max_completion_length: Annotated[int, Field(ge=1)] = 256
    """Tokens of an answer at most; one that is longer is cut."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    num_iterations: Annotated[int, Field(ge=1)] = 1
    """Steps that learn from the same answers before others are sampled."""
    epsilon: Annotated[float, Field(gt=0)] = 0.2
    """How far steps may go from the model that sampled, in the ratio of their probabilities: with
    one step for the same answers, they are the same model."""
    mask_truncated_completions: bool = False
    """Learn nothing from answers that were cut."""
    reward_weights: list[float] | None = None
    """What each reward counts: the reward model's first, if there is one, then those of
    data.reward_functions; null: all 1."""

    @model_validator(mode="after")
    def _samples_fit(self) -> "ReinforcedParams":
        if problems := list(self._sampling_problems()):
            raise ValueError("\n".join(problems))
        return self

    def _sampling_problems(self) -> Iterator[str]:
        if not list(self.batch_problems()) and (answers := prod(self.batch)) % self.num_generations:
            yield (
                f"num_generations: the {answers} answers of a step (effective batch size) are not"
                f" whole prompts of {self.num_generations}; make them a multiple of it"
            )
