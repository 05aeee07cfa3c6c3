"""`train`: the steps of the training, by their names, each from the model that another made."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from finery.params.methods.cpo import CpoParams
from finery.params.methods.dpo import DpoParams
from finery.params.methods.grpo import GrpoParams
from finery.params.methods.kto import KtoParams
from finery.params.methods.orpo import OrpoParams
from finery.params.methods.pretrain import PretrainParams
from finery.params.methods.reward import RewardParams
from finery.params.methods.rloo import RlooParams
from finery.params.methods.sft import SftParams
from finery.params.methods.simpo import SimpoParams

BASE = "base"
TAKEN = (BASE, "merged", "gptq", "awq", "gguf", "adapters", "packages", "test")
"""What models/ and data/prepared/ have under these names is no step's."""
Step = Annotated[
    SftParams
    | PretrainParams
    | DpoParams
    | KtoParams
    | OrpoParams
    | SimpoParams
    | CpoParams
    | RewardParams
    | GrpoParams
    | RlooParams,
    Field(discriminator="method"),
]


def _chained(steps: dict[str, Step]) -> dict[str, Step]:
    if problems := list(_chain_problems(steps)):
        raise ValueError("\n".join(problems))
    return {name: step.named(name) for name, step in steps.items()}


TrainParams = Annotated[dict[str, Step], Field(min_length=1), AfterValidator(_chained)]


def _chain_problems(steps: dict[str, Step]) -> Iterator[str]:
    for name, step in steps.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield f'"{name}" cannot name a step; take small letters, digits and _'
        elif name in TAKEN:
            yield f"{name}: no step can be called {', '.join(TAKEN[:-1])} or {TAKEN[-1]}; rename it"
        elif name in (behind := before(steps, name)):
            yield f"{name}.after: {' after '.join([name, *behind])} is a circle; start from {BASE}"
        elif step.after in steps and steps[step.after].scores and not step.judged:
            yield (
                f"{name}.after: {step.after} makes a reward model, which gives no answers; only"
                f" grpo and rloo go on from one, {step.method} from a step before it"
            )


def before(steps: dict[str, Step], name: str) -> list[str]:
    """The steps that one goes on from, the next before it first; ends where they repeat."""
    found: list[str] = []
    while (name := steps[name].after) in steps and name not in found:
        found.append(name)
    return found


def stretched(steps: dict[str, Step], name: str) -> float:
    """How many times the base model's positions a step's model has, by its rope_scaling or that
    of a step before it."""
    chain = (steps[step].rope_scaling for step in (name, *before(steps, name)))
    return next((scaling.factor for scaling in chain if scaling), 1)
