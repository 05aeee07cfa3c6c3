"""`method: dpo`: of two answers the better one, measured against the model it starts from."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from finery.params.step import StepParams

Loss = Literal[
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
    "aot_unpaired", "apo_zero", "apo_down", "discopop", "sigmoid_norm", "sft",
]  # fmt: skip
SMOOTHED = ("exo_pair", "robust", "aot", "aot_unpaired")
"""The losses that label_smoothing is a part of."""
Weight = Annotated[float, Field(gt=0)]


def _one_loss(value: Any) -> Any:
    return {value: 1.0} if isinstance(value, str) else value


class DpoParams(StepParams):
    """Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290)."""

    learns_from = ("preference",)
    method: Literal["dpo"]
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    loss: Annotated[
        dict[Loss, Weight],
        Field(min_length=1),
        BeforeValidator(_one_loss, json_schema_input_type=Loss | dict[Loss, Weight]),
    ] = {"sigmoid": 1.0}
    """By TRL's names; or several with their weights, as {sigmoid: 1, sft: 0.1}: sft is the loss of
    supervised fine-tuning on the better answer."""
    beta: Annotated[float, Field(gt=0)] = 0.1
    """How much the model is held to what it starts from; tau of ipo."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Share of the pairs that are taken to be the wrong way round; of exo_pair, robust and aot."""

    @model_validator(mode="after")
    def _losses_fit(self) -> "DpoParams":
        if problems := list(self._loss_problems()):
            raise ValueError("\n".join(problems))
        return self

    def _loss_problems(self) -> Iterator[str]:
        if set(self.loss) == {"sft"}:
            yield "loss: sft alone never looks at the worse answer; add another, or use method: sft"
        smoothed = set(self.loss) & set(SMOOTHED)
        if self.label_smoothing and not smoothed:
            named = ", ".join(self.loss)
            yield f"label_smoothing: {named} takes no notice of it; set it to 0, or loss: robust"
        if "exo_pair" in self.loss and not self.label_smoothing:
            yield "label_smoothing: exo_pair takes its logarithm; set it above 0, such as 0.001"
