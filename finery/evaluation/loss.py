"""Held-out loss: the mean negative log-likelihood of the reference answers' tokens."""

import math
from collections.abc import Sequence
from typing import Any

from finery.evaluation.batches import EvaluationError, batches, fitting


def losses(model: Any, tests: Sequence[dict[str, Any]], batch_size: int) -> list[tuple[float, int]]:
    """For each test, the summed loss in nats over its counted tokens, and their number.

    A test has `input_ids` and `labels` (-100 where the loss does not count), its `dataset` and
    `question`. Raises `EvaluationError` for a loss that is no number.
    """

    def forward(batch: Sequence[dict[str, Any]]) -> list[tuple[float, int]]:
        import torch

        ids = [torch.tensor(test["input_ids"]) for test in batch]
        labels = [torch.tensor(test["labels"]) for test in batch]
        padded = torch.nn.utils.rnn.pad_sequence
        inputs = padded(ids, batch_first=True).to(model.device)
        targets = padded(labels, batch_first=True, padding_value=-100).to(model.device)
        mask = padded([torch.ones_like(i) for i in ids], batch_first=True).to(model.device)
        with torch.inference_mode():
            logits = model(input_ids=inputs, attention_mask=mask).logits[:, :-1].float()
        each = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), targets[:, 1:], ignore_index=-100, reduction="none"
        )
        counted = (targets[:, 1:] != -100).sum(1)
        summed = each.sum(1).tolist()
        for test, loss in zip(batch, summed, strict=True):
            _insist_on_number(test, loss)
        return list(zip(summed, counted.tolist(), strict=True))

    return fitting(forward, batches(tests, batch_size, "loss"))


def _insist_on_number(test: dict[str, Any], loss: float) -> None:
    if not math.isfinite(loss):
        raise EvaluationError(
            f"{test['dataset']}: {test['question']!r:.60}: the loss is {loss}, for the model's"
            " logits are NaN or infinite; take merge.dtype: bfloat16 if it is float16, or another"
            " base model"
        )


def perplexity(loss: float) -> float:
    """exp of the mean loss a token; infinite where that overflows."""
    return math.exp(loss) if loss < 700 else math.inf
