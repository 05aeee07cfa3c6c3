"""Kahneman-Tversky optimization, by TRL: the reference is the model that the step started from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finery.params.methods.kto import KtoParams
from finery.training.arguments import on_one_gpu
from finery.training.preferences import IGNORED, batch, masked, parts, ready, reference

VERDICT = ("input_ids", "labels", "desirable")


def build_trainer(params: KtoParams, start: Path, data: Path, checkpoints: Path) -> Any:
    """A KTOTrainer over `data`/train.parquet, watching `data`/validation.parquet."""
    on_one_gpu()
    from trl import KTOConfig, KTOTrainer

    from finery.training.learning import StopsAtNan
    from finery.training.order import InOrder

    class Trainer(InOrder, StopsAtNan, KTOTrainer):
        """In an order that can be resumed, up to the first NaN, on samples that are tokens."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    given, made = parts(params, start, data, checkpoints, VERDICT)
    if uneven := advice(params, made["train_dataset"]["desirable"]):
        print(uneven)
    config = KTOConfig(
        **given,
        train_sampling_strategy="sequential",  # TRL insists on it; ours is InOrder's
        loss_type=params.loss,
        beta=params.beta,
        desirable_weight=params.desirable_weight,
        undesirable_weight=params.undesirable_weight,
        max_length=None,  # prepare has cut the samples
    )
    copy = reference(params, start, made["peft_config"], made["model"])
    collate = verdicts_and_others if params.loss == "kto" else verdicts
    return ready(Trainer(args=config, ref_model=copy, data_collator=collate, **made), params)


def advice(params: KtoParams, desirable: Sequence[bool]) -> str | None:
    """What to say of weights that the paper advises against (its section 4.2).

    The good answers together are to weigh as much as the bad ones, up to a third more.
    """
    good, bad = sum(desirable), len(desirable) - sum(desirable)
    weights = params.desirable_weight * good, params.undesirable_weight * bad
    if not good or not bad:
        return (
            f"{params.key}.data: all answers are {'good' if good else 'bad'} ones; kto needs both"
        )
    if 0.99 * weights[1] <= weights[0] <= 1.01 * weights[1] * 4 / 3:
        return None
    return (
        f"{params.key}.desirable_weight: {good} answers are good and {bad} are not;"
        f" {bad / good:.3g} x undesirable_weight has them weigh as much"
    )


def verdicts(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch of answers, and in `label` whether each is desirable."""
    import torch

    made = masked(batch([(row["input_ids"], row["labels"]) for row in rows]))
    return made | {"label": torch.tensor([row["desirable"] for row in rows])}


def verdicts_and_others(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same, and under KL_ each question with the answer to the one before it in the batch.

    On them TRL estimates how far the model is from its reference. None is longer than the longest
    sample, whose length the model is known to bear.
    """
    longest = max(len(row["input_ids"]) for row in rows)
    split = [_split(row) for row in rows]
    others = [
        (question + answer, [IGNORED] * len(question) + labels)
        for (question, _, _), (_, answer, labels) in zip(
            split, split[-1:] + split[:-1], strict=True
        )
    ]
    cut = [(ids[:longest], labels[:longest]) for ids, labels in others]
    return verdicts(rows) | {f"KL_{name}": value for name, value in masked(batch(cut)).items()}


def _split(row: dict[str, Any]) -> tuple[list[int], list[int], list[int]]:
    """The tokens before the first that counts; those from it on, and their labels."""
    begins = next((n for n, label in enumerate(row["labels"]) if label != IGNORED), 0)
    return row["input_ids"][:begins], row["input_ids"][begins:], row["labels"][begins:]
