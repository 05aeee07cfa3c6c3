"""A reward model: it learns to score the better answer above the worse, by TRL."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finery.models.tokenizer import load_tokenizer
from finery.params.methods.reward import RewardParams
from finery.training.arguments import arguments, on_one_gpu
from finery.training.checkpoints import mark_complete
from finery.training.precision import training_dtype
from finery.training.prepared import read_samples, read_validation
from finery.training.progress import report_progress
from finery.training.schedule import refuse_schedule
from finery.training.start import load_start, peft_config

PAIR = ("input_ids", "rejected_input_ids")


def build_trainer(params: RewardParams, start: Path, data: Path, checkpoints: Path) -> Any:
    """A RewardTrainer over `data`/train.parquet, watching `data`/validation.parquet.

    The whole of a conversation is scored, as prepare has it, at its last token.
    """
    on_one_gpu()
    from transformers import PrinterCallback
    from trl import RewardConfig, RewardTrainer

    from finery.training.learning import StopsAtNan
    from finery.training.order import InOrder

    class Trainer(InOrder, StopsAtNan, RewardTrainer):
        """In an order that can be resumed, up to the first NaN, on samples that are tokens."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    training, validation = read_samples(data / "train.parquet", PAIR), read_validation(data, PAIR)
    refuse_schedule(params, len(training))
    dtype = training_dtype(params)
    model = load_start(params, start, dtype)
    padding = model.config.get_text_config().pad_token_id
    trainer = Trainer(
        model=model,
        args=RewardConfig(
            **arguments(params, dtype, checkpoints, validate=len(validation) > 0),
            center_rewards_coefficient=params.center_rewards_coefficient,
            disable_dropout=False,  # the tuner says what there is
            max_length=None,  # prepare has cut the samples
            remove_unused_columns=False,
        ),
        data_collator=lambda rows: collate(rows, padding),
        train_dataset=training,
        eval_dataset=validation if len(validation) else None,
        processing_class=load_tokenizer(start),
        peft_config=peft_config(params, model, "SEQ_CLS"),
        callbacks=[mark_complete(), report_progress()],
    )
    trainer.step = params
    trainer.remove_callback(PrinterCallback)
    return trainer


def collate(rows: Sequence[dict[str, Any]], padding: int) -> dict[str, Any]:
    """input_ids and attention_mask: the better answers, and below them in that order the worse."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    samples = [torch.as_tensor(row[name]) for name in PAIR for row in rows]
    return {
        "input_ids": pad_sequence(samples, True, padding),
        "attention_mask": pad_sequence([torch.ones_like(ids) for ids in samples], True, 0),
    }
