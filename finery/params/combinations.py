"""What does not go together in a step of the training: one table, which docs/training.md prints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from finery.params.data import DataParams
from finery.params.methods.dpo import SMOOTHED
from finery.params.optimizers import MUON, PROJECTING, UNDECAYED, UNSCHEDULED
from finery.params.schedulers import WATCHING
from finery.params.step import StepParams

PAIRS = ("dpo", "orpo", "simpo", "cpo", "reward")
REFERENCED = ("dpo", "kto")
WHOLE = ("full", "freeze", "expansion")


@dataclass(frozen=True)
class Combination:
    """A setting with a value that some methods cannot have, why, and what to do."""

    methods: tuple[str, ...]
    """None: whatever the method, another setting is what it does not go with."""
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
        methods = ", ".join(f"`{name}`" for name in self.methods) or "any"
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
    Combination(
        (), "optim", "schedule_free_..., without lr_scheduler_type: constant",
        lambda step, data: step.optim in UNSCHEDULED and step.lr_scheduler_type != "constant",
        "its schedule is in itself", "set lr_scheduler_type: constant (the warm-up stays)",
    ),
    Combination(
        (), "optim", f"muon, with tuner.type {', '.join(WHOLE)}",
        lambda step, data: step.optim == MUON and step.tuner.type in WHOLE,
        "it moves matrices alone, and these train vectors too", "take adamw_torch, or a lora",
    ),
    Combination(
        (), "optim", "lomo, with gradient_accumulation_steps above 1",
        lambda step, data: step.optim == "lomo" and step.batch[1] > 1,
        "it takes a step with each batch", "set them to 1",
    ),
    Combination(
        (), "optim_target_modules", f"without {', '.join(PROJECTING)}",
        lambda step, data: step.optim_target_modules is not None and step.optim not in PROJECTING,
        "no other optimizer takes notice of them", "take them out",
    ),
    Combination(
        (), "weight_decay", f"above 0, with {', '.join(UNDECAYED)}",
        lambda step, data: step.weight_decay > 0 and step.optim in UNDECAYED,
        "they leave it out", "set it to 0, or take adamw_torch",
    ),
    Combination(
        (), "warmup_steps", "with warmup_ratio",
        lambda step, data: {"warmup_steps", "warmup_ratio"} <= step.model_fields_set
        and step.warmup_steps is not None,
        "they say the same", "take one of them out",
    ),
    Combination(
        (), "gradient_checkpointing_kwargs", "without gradient_checkpointing",
        lambda step, data: "gradient_checkpointing_kwargs" in step.model_fields_set
        and not step.gradient_checkpointing,
        "nothing is checkpointed", "set gradient_checkpointing: true",
    ),
    *(
        Combination(
            (), key, f"{value}, with nothing to validate on",
            lambda step, data, key=key: step.watches(key) and not _validates(data),
            "it follows a loss on samples that are not trained on",
            "set data.val_size or data.eval_dataset",
        )
        for key, value in (
            ("early_stopping_patience", "set"), ("load_best_model_at_end", "true"),
            ("lr_scheduler_type", " or ".join(WATCHING)),
        )
    ),
)  # fmt: skip


def _validates(data: DataParams) -> bool:
    return bool(data.val_size or data.eval_dataset)


def refused(step: StepParams, data: DataParams) -> Iterator[str]:
    """A line for each combination of the table that a step has; `data` is as the step has it."""
    for each in COMBINATIONS:
        if step.method in (each.methods or (step.method,)) and each.found(step, data):
            with_it = f"does not go with {step.method}: " if each.methods else ""
            yield f"{step.key}.{each.key}: {each.value}: {with_it}{each.reason}; {each.instead}"
