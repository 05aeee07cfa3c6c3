"""What does not go together in a step of the training: one table, which docs/training.md prints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from finery.params.data import DataParams
from finery.params.methods.dpo import SMOOTHED
from finery.params.step import StepParams

PAIRS = ("dpo", "orpo", "simpo", "cpo", "reward")
REFERENCED = ("dpo", "kto")


@dataclass(frozen=True)
class Combination:
    """A setting with a value that some methods cannot have, why, and what to do."""

    methods: tuple[str, ...]
    key: str
    """Of the setting, within the step."""
    value: str
    """In words, behind its key."""
    found: Callable[[StepParams, DataParams], bool]
    reason: str
    instead: str

    @property
    def row(self) -> str:
        """As docs/training.md has it."""
        methods = ", ".join(f"`{name}`" for name in self.methods)
        return f"| {methods} | `{self.key}`: {self.value} | {self.reason}; {self.instead} |"


COMBINATIONS = (
    Combination(
        (*PAIRS, "kto"), "data.packing", "true",
        lambda step, data: data.packing,
        "its samples are compared, each by itself", "set it to false",
    ),
    Combination(
        REFERENCED, "tuner.dropout", "above 0",
        lambda step, data: getattr(step.tuner, "dropout", 0) > 0,
        "it compares with a model that has none, and would turn it off", "set it to 0",
    ),
    Combination(
        (*REFERENCED, "grpo", "rloo"), "tuner.target_modules", "lm_head among them",
        lambda step, data: "lm_head" in getattr(step.tuner, "target_modules", ()),
        "it works with the weights of lm_head themselves, not with an adapter", "leave it out",
    ),
    Combination(
        REFERENCED, "neftune_noise_alpha", "given",
        lambda step, data: step.neftune_noise_alpha is not None,
        "the model it compares with would have the noise, too", "take it out",
    ),
    Combination(
        ("kto",), "per_device_batch_size", "1, with the loss kto",
        lambda step, data: step.loss == "kto" and step.batch[0] == 1,
        "it needs the answers to other questions beside each", "set it to 2 or more",
    ),
    Combination(
        ("dpo",), "loss", "sft alone",
        lambda step, data: set(step.loss) == {"sft"},
        "it would never look at the worse answer", "add another, or take the method sft",
    ),
    Combination(
        ("dpo",), "label_smoothing", "0, with the loss exo_pair",
        lambda step, data: "exo_pair" in step.loss and not step.label_smoothing,
        "exo_pair takes its logarithm", "set it above 0, such as 0.001",
    ),
    Combination(
        ("dpo",), "label_smoothing", f"above 0, without the loss {', '.join(SMOOTHED)}",
        lambda step, data: bool(step.label_smoothing) and not set(step.loss) & set(SMOOTHED),
        "no other takes notice of it", "set it to 0, or take the loss robust",
    ),
    Combination(
        ("cpo",), "label_smoothing", "above 0, without the loss sigmoid",
        lambda step, data: bool(step.label_smoothing) and step.loss != "sigmoid",
        "no other takes notice of it", "set it to 0",
    ),
)  # fmt: skip


def refused(step: StepParams, data: DataParams) -> Iterator[str]:
    """A line for each combination of the table that a step has; `data` is as the step has it."""
    for each in COMBINATIONS:
        if step.method in each.methods and each.found(step, data):
            what = f"{step.key}.{each.key}: {each.value}"
            yield f"{what}: does not go with {step.method}: {each.reason}; {each.instead}"
