"""`model.quantized`: which steps are trained on it, and which cannot be."""

from collections.abc import Iterator, Mapping

from finery.params.model import QUANTIZED_FORMS, ModelParams
from finery.params.quantization import PackedParams
from finery.params.step import StepParams
from finery.params.train import BASE


def packed_steps(train: Mapping[str, StepParams]) -> list[StepParams]:
    """The steps that ask for weights that are in GPTQ or AWQ already."""
    return [step for step in train.values() if isinstance(step.quantization, PackedParams)]


def quantized_problems(model: ModelParams, train: Mapping[str, StepParams]) -> Iterator[str]:
    """A line for each step that asks for what there is not, and for what no step asks for."""
    steps = packed_steps(train)
    for step in steps:
        method, key = step.quantization.method, f"{step.key}.quantization.method"
        if model.quantized is None:
            yield (
                f"{key}: {method} needs the base model in {method.upper()}; set model.quantized to"
                f" {QUANTIZED_FORMS}, and model.source to the same in full precision"
            )
        elif step.after != BASE:
            yield (
                f"{key}: {method} is of the base model alone, and the step goes on from"
                f" {step.after}; take bnb, which quantizes what it is given"
            )
    if model.quantized is not None and not steps:
        yield (
            "model.quantized: no step is trained on it; set quantization: {method: gptq}, or awq,"
            " in a step after base, or take it out"
        )
