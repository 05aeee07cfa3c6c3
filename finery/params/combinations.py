"""What does not go together in a step of the training: one table, which docs/training.md prints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from finery.params.by_tokens import WHOLE as WHOLE_BATCHES
from finery.params.data import DataParams
from finery.params.engine import ABREAST, IN_PARTS, SHARED
from finery.params.methods.dpo import SMOOTHED
from finery.params.optimizers import MUON, PROJECTING, UNDECAYED, UNSCHEDULED
from finery.params.schedulers import WATCHING
from finery.params.step import StepParams
from finery.params.tuners.lora import LoraParams

PAIRS = ("dpo", "orpo", "simpo", "cpo", "reward")
REFERENCED = ("dpo", "kto")
UNGROUPED = (*PROJECTING, "lomo", MUON)
ALONE = ("auto", "none")
PARTED = ("adamw_torch", "adamw_torch_fused", "sgd")
WHOLE = ("full", "freeze", "expansion")


@dataclass(frozen=True)
class Combination:
    """A setting with a value that some methods, or tuners, cannot have, why, and what to do."""

    of: tuple[str, ...]
    """Methods, or types of tuners; none: whatever they are, it is another setting that does not."""
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
        names = ", ".join(f"`{name}`" for name in self.of) or "any"
        return f"| {names} | `{self.key}`: {self.value} | {self.reason}; {self.instead} |"


COMBINATIONS = (
    Combination(
        (), "distributed", f"any but auto and none, with a method other than {', '.join(ABREAST)}",
        lambda step, data: step.method not in ABREAST and step.distributed not in ALONE,
        "its loss is a mean over the samples that a device has, which others would change",
        "take none, and one device",
    ),
    Combination(
        (), "distributed", f"any but auto and none, with tuner.type other than {', '.join(SHARED)}",
        lambda step, data: step.tuner.type not in SHARED and step.distributed not in ALONE,
        "it changes its weights between the steps, or was not tried on several devices",
        "take none, and one device",
    ),
    Combination(
        (), "distributed", "in parts (fsdp2, deepspeed), with init: pissa or olora, or use_dora",
        lambda step, data: step.distributed in IN_PARTS
        and (getattr(step.tuner, "is_principal", False) or getattr(step.tuner, "use_dora", False)),
        "they compute with whole weights, of which each device has a part",
        "take ddp, or a plain lora",
    ),
    Combination(
        (), "distributed", "in parts (fsdp2, deepspeed), with target_parameters or modules_to_save",
        lambda step, data: step.distributed in IN_PARTS
        and bool(getattr(step.tuner, "target_parameters", [])
                 or getattr(step.tuner, "modules_to_save", [])),
        "PEFT puts them together from whole weights, of which each device has a part",
        "take ddp, or leave them out",
    ),
    Combination(
        (), "distributed",
        f"in parts (fsdp2, deepspeed), with optim other than {', '.join(PARTED)}",
        lambda step, data: step.distributed in IN_PARTS
        and (step.optim not in PARTED
             or getattr(step.tuner, "loraplus_lr_ratio", None) is not None),
        "its state is not kept in parts",
        "take ddp, or adamw_torch without loraplus_lr_ratio",
    ),
    Combination(
        (), "distributed", "in parts (fsdp2, deepspeed), with load_best_model_at_end",
        lambda step, data: step.distributed in IN_PARTS and step.load_best_model_at_end,
        "the Trainer puts no best weights back into parts", "take ddp, or leave it out",
    ),
    Combination(
        (), "distributed",
        "in parts (fsdp2, deepspeed), with quantization but bnb in 4 bits by fsdp2",
        lambda step, data: step.distributed in IN_PARTS and step.quantization is not None
        and not (step.distributed == "fsdp2" and step.quantization.method == "bnb"
                 and step.quantization.bits == 4),
        "weights in a few bits cannot be cut into parts (each device has all that bnb has in 4)",
        "take ddp, or leave quantization out",
    ),
    Combination(
        ("reward",), "quantization", "any",
        lambda step, data: step.quantization is not None,
        "the head that it begins would be quantized too", "leave it out",
    ),
    Combination(
        (), "quantization", "any, without tuner.type: lora",
        lambda step, data: step.quantization is not None and step.tuner.type != "lora",
        "weights in a few bits cannot take small steps, and other adapters are not made for them",
        "leave it out, or take lora",
    ),
    Combination(
        (), "quantization", "bnb in 8 bits, with use_dora",
        lambda step, data: step.quantization is not None and step.quantization.method == "bnb"
        and step.quantization.bits == 8 and getattr(step.tuner, "use_dora", False),
        "PEFT cannot take the lengths of such weights", "set bits to 4, or use_dora to false",
    ),
    Combination(
        (), "quantization", "gptq or awq, with use_dora",
        lambda step, data: step.quantization is not None
        and step.quantization.method in ("gptq", "awq") and getattr(step.tuner, "use_dora", False),
        "PEFT cannot take the lengths of such weights", "take bnb, or set use_dora to false",
    ),
    Combination(
        (), "quantization", "any, with init: pissa or olora",
        lambda step, data: step.quantization is not None
        and getattr(step.tuner, "is_principal", False),
        "they take a part out of weights that a few bits cannot hold the rest of",
        "set init to default",
    ),
    Combination(
        (), "quantization", "any, with target_parameters",
        lambda step, data: step.quantization is not None
        and bool(getattr(step.tuner, "target_parameters", [])),
        "a parameter is changed where it is, which a few bits cannot be", "leave one of them out",
    ),
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
        lambda step, data: _is_set(step, "warmup_ratio") and step.warmup_steps is not None,
        "they say the same", "take one of them out",
    ),
    Combination(
        (), "gradient_checkpointing_kwargs", "without gradient_checkpointing",
        lambda step, data: _is_set(step, "gradient_checkpointing_kwargs")
        and not step.gradient_checkpointing,
        "nothing is checkpointed", "set gradient_checkpointing: true",
    ),
    *(
        Combination(
            (), "max_tokens_per_batch", f"a number, {value}",
            lambda step, data, found=found: isinstance(step.max_tokens_per_batch, int)
            and found(step),
            reason, "set it to auto or null",
        )
        for value, found, reason in WHOLE_BATCHES
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
    Combination(
        ("lora",), "tuner.dropout", "above 0, with target_parameters",
        lambda step, data: bool(step.tuner.target_parameters and step.tuner.dropout),
        "a parameter is changed where it is, not what goes into it", "set it to 0",
    ),
    Combination(
        ("lora",), "tuner.use_dora", "true, with target_parameters",
        lambda step, data: bool(step.tuner.target_parameters and step.tuner.use_dora),
        "PEFT knows DoRA of layers alone", "set it to false",
    ),
    Combination(
        ("lora",), "tuner.init", "pissa or olora, with target_parameters",
        lambda step, data: bool(step.tuner.target_parameters and step.tuner.is_principal),
        "PEFT takes them out of layers alone", "set it to default",
    ),
    Combination(
        ("lora",), "tuner.init", "orthogonal, with an odd rank",
        lambda step, data: step.tuner.init == "orthogonal" and _is_any_odd(step.tuner),
        "A and B take half of the directions each", "take an even rank",
    ),
    Combination(
        ("lora",), "tuner.loraplus_lr_ratio", f"with the optimizer {', '.join(UNGROUPED)}",
        lambda step, data: step.tuner.loraplus_lr_ratio is not None and step.optim in UNGROUPED,
        "it has groups of weights of its own, or none", "take adamw_torch, or leave it out",
    ),
    Combination(
        ("hra",), "tuner.rank", "odd",
        lambda step, data: step.tuner.rank % 2 == 1,
        "its reflections begin in pairs that undo each other", "take an even rank",
    ),
)  # fmt: skip


WITH_IMAGES = (
    Combination(
        (*PAIRS, "kto", "grpo", "rloo"), "method", "any but sft and pretrain",
        lambda step, data: True,
        "it would learn from the words alone", "take sft",
    ),
    Combination(
        ("randlora", "vera", "expansion"), "freeze_vision", "true",
        lambda step, data: step.freeze_vision,
        "it cannot be kept away from the vision tower", "take lora, or set it to false",
    ),
    Combination(
        (), "quantization", "any",
        lambda step, data: step.quantization is not None,
        "the vision tower would be quantized too", "leave it out",
    ),
    Combination(
        (), "data.packing", "true",
        lambda step, data: data.packing,
        "images have places in a text of their own", "set it to false",
    ),
)  # fmt: skip
"""What does not go together where the model reads images, which no setting says."""


def _is_set(step: StepParams, key: str) -> bool:
    """To another value than it has anyway: settings as a package's manifest has them name all."""
    return getattr(step, key) != type(step).model_fields[key].default


def _validates(data: DataParams) -> bool:
    return bool(data.val_size or data.eval_dataset)


NOT_OFFERED = {
    "layer_replication": "its layers share their weights, so that a merge changes each other's;"
    " new blocks of their own are tuner.type: expansion",
    "lora_bias": "most models' layers have no bias that it could be merged into",
    "bias": "what a merge does with it is left open; train norms by ln_tuning, or use lora alone",
    "trainable_token_indices": "name embed_tokens in modules_to_save, which trains all of them",
    "loftq_config": "it needs a CUDA GPU; quantize the base and take init: pissa",
    "eva_config": "it needs a pass over the data of its own; take init: pissa",
    "corda_config": "PEFT cannot load what it has trained; take init: pissa",
    "lora_ga_config": "it needs a pass over the data of its own; take init: pissa",
}
"""Settings of PEFT's that a tuner has not here, and why: none of them is missed in silence."""


def _is_any_odd(tuner: LoraParams) -> bool:
    return any(rank % 2 for rank in (tuner.rank, *tuner.rank_pattern.values()))


def refused(
    step: StepParams, data: DataParams, table: tuple[Combination, ...] = COMBINATIONS
) -> Iterator[str]:
    """A line for each combination of a table that a step has; `data` is as the step has it."""
    for each in table:
        name = next((n for n in (step.method, step.tuner.type) if n in each.of), None)
        if (name or not each.of) and each.found(step, data):
            with_it = f"does not go with {name}: " if name else ""
            yield f"{step.key}.{each.key}: {each.value}: {with_it}{each.reason}; {each.instead}"
