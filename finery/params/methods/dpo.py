"""`method: dpo`: of two answers the better one, measured against the model it starts from."""

from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from finery.params.step import StepParams

Loss = Literal[
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
    "aot_unpaired", "apo_zero", "apo_down", "discopop", "sigmoid_norm", "sft",
]  # fmt: skip
SMOOTHED = ("exo_pair", "robust", "aot", "aot_unpaired")
"""The losses that label_smoothing is a part of."""
Weight = Annotated[float, Field(gt=0)]


def _weighed(value: Any) -> Any:
    """A loss by itself has the weight 1. Raises `ValueError` for one that there is not."""
    losses = {value: 1.0} if isinstance(value, str) else value
    known = get_args(Loss)
    for name in losses if isinstance(losses, dict) else ():
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise ValueError(f"there is no {name}; {meant}")
    return losses


class DpoParams(StepParams):
    """Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290)."""

    learns_from = ("preference",)
    method: Literal["dpo"]
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    loss: Annotated[
        dict[Loss, Weight],
        Field(min_length=1),
        BeforeValidator(_weighed, json_schema_input_type=Loss | dict[Loss, Weight]),
    ] = {"sigmoid": 1.0}
    """By TRL's names; or several with their weights, as {sigmoid: 1, sft: 0.1}: sft is the loss of
    supervised fine-tuning on the better answer."""
    beta: Annotated[float, Field(gt=0)] = 0.1
    """How much the model is held to what it starts from; tau of ipo."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Share of the pairs that are taken to be the wrong way round; of exo_pair, robust and aot."""
