"""What trainers of preferences have in common: their data, what they compare with, and batches."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.models.tokenizer import load_tokenizer
from finery.params.step import StepParams
from finery.training.arguments import arguments
from finery.training.checkpoints import mark_complete
from finery.training.precision import training_dtype
from finery.training.prepared import read_samples, read_validation
from finery.training.progress import report_progress
from finery.training.schedule import refuse_schedule
from finery.training.start import load_start, peft_config

IGNORED = -100
PAIR = ("input_ids", "labels", "rejected_input_ids", "rejected_labels")
STARTS_AS_NOTHING = (True, False, "gaussian", "orthogonal", "eva")
"""The beginnings of LoRA that leave the layers under it as they were."""
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # the versions are pinned


def parts(
    params: StepParams, start: Path, data: Path, checkpoints: Path, columns: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keywords for the configuration of one of TRL's trainers, and for the trainer itself.

    The samples are `columns` of `data`/train.parquet and `data`/validation.parquet.
    """
    training = read_samples(data / "train.parquet", columns)
    validation = read_validation(data, columns)
    refuse_schedule(params, len(training))
    dtype = training_dtype(params)
    given = arguments(params, dtype, checkpoints, validate=len(validation) > 0)
    given |= {"remove_unused_columns": False}  # the collators read what the samples have
    model = load_start(params, start, dtype)
    return given, {
        "model": model,
        "train_dataset": training,
        "eval_dataset": validation if len(validation) else None,
        "processing_class": load_tokenizer(start),
        "peft_config": peft_config(params, model),
        "callbacks": [mark_complete(), report_progress()],
    }


def ready(trainer: Any, params: StepParams) -> Any:
    """The trainer, as the train stage takes it."""
    from transformers import PrinterCallback

    trainer.step = params
    trainer.remove_callback(PrinterCallback)
    return trainer


class HeadError(UserError):
    """The adapter is on a layer whose weights TRL reads without it."""


def reference(params: StepParams, start: Path, config: Any, model: Any) -> Any:
    """A second copy of the model in `start`, where `model` will not be it without its adapter.

    None if it will. Without an adapter there is nothing to take off; a beginning such as PiSSA's
    moves part of each weight into the adapter, and a trained bias is the layer's own. Raises
    `HeadError` for an adapter that the loss would not see.
    """
    _refuse_on_head(params, config, model)
    beginning = getattr(config, "init_lora_weights", True) in STARTS_AS_NOTHING
    if config is not None and beginning and getattr(config, "bias", "none") == "none":
        return None
    return load_start(params, start, str(model.dtype).removeprefix("torch."))


def _refuse_on_head(params: StepParams, config: Any, model: Any) -> None:
    from peft.tuners.tuners_utils import check_target_module_exists

    head = model.get_output_embeddings()
    name = next(name for name, module in model.named_modules() if module is head)
    key, takes = f"{params.key}.tuner", f"{params.method} works with the weights of {name} itself"
    if getattr(config, "target_modules", None) and check_target_module_exists(config, name):
        raise HeadError(f"{key}.target_modules: {takes}, not with an adapter; leave it out")
    tokens = getattr(config, "trainable_token_indices", None)
    if tokens and (model.config.tie_word_embeddings or name in tokens):
        raise HeadError(
            f"{key}: {takes}, not with single trained tokens; train them in a step of method sft"
            " before it, or take orpo, simpo or cpo"
        )


def batch(samples: Sequence[tuple[Sequence[int], Sequence[int]]]) -> dict[str, Any]:
    """input_ids, attention_mask and labels of samples x longest sample.

    The first token of a sample is never counted: nothing is before it to tell it from.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence

    def padded(values: Sequence[Sequence[int]], with_value: int) -> torch.Tensor:
        return pad_sequence([torch.as_tensor(each) for each in values], True, with_value)

    made = {
        "input_ids": padded([ids for ids, _ in samples], 0),
        "attention_mask": padded([[1] * len(ids) for ids, _ in samples], 0),
        "labels": padded([labels for _, labels in samples], IGNORED),
    }
    made["labels"][:, 0] = IGNORED
    return made


def pairs(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A `batch` of the better answers, and below them, in the same order, of the worse."""
    better = [(row["input_ids"], row["labels"]) for row in rows]
    return batch(better + [(row["rejected_input_ids"], row["rejected_labels"]) for row in rows])


def masked(made: dict[str, Any]) -> dict[str, Any]:
    """A `batch` as TRL has it: completion_mask in the place of labels."""
    labels = made.pop("labels")
    return made | {"completion_mask": (labels != IGNORED).long()}
