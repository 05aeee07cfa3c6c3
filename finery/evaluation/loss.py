"""Held-out loss: the mean negative log-likelihood of the reference answers' tokens."""

import inspect
import math
from collections.abc import Sequence
from typing import Any

from finery.errors import PipelineError
from finery.evaluation.seen import Seen
from finery.inference.batches import batches, fitting


class EvaluationError(PipelineError):
    """A model could not be evaluated."""


def losses(
    model: Any, tests: Sequence[dict[str, Any]], batch_size: int, seen: Seen | None = None
) -> list[tuple[float, int]]:
    """For each test, the summed loss in nats over its counted tokens, and their number.

    A test has `input_ids` and `labels` (-100 where the loss does not count), its `dataset` and
    `question`; `seen` gives what the model takes of its images. Tests of like length go together,
    and the head predicts from the first token that counts in a batch on. Raises `EvaluationError`
    for a loss that is no number.
    """
    order = sorted(range(len(tests)), key=lambda i: len(tests[i]["input_ids"]))

    def forward(batch: Sequence[int]) -> list[tuple[float, int]]:
        import torch

        rows = [tests[i] for i in batch]
        ids = [torch.tensor(test["input_ids"]) for test in rows]
        labels = [torch.tensor(test["labels"]) for test in rows]
        padded = torch.nn.utils.rnn.pad_sequence
        inputs = padded(ids, batch_first=True).to(model.device)
        targets = padded(labels, batch_first=True, padding_value=-100).to(model.device)
        mask = padded([torch.ones_like(i) for i in ids], batch_first=True).to(model.device)
        targets = targets[:, _first_counted(targets) :]
        given = {"input_ids": inputs, "attention_mask": mask}
        given |= seen(rows, inputs) if seen else {}
        with torch.inference_mode():
            logits = _last_logits(model, targets.shape[1] + 1, **given)
        each = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().transpose(1, 2), targets, ignore_index=-100, reduction="none"
        )
        counted = (targets != -100).sum(1)
        summed = each.sum(1).tolist()
        for test, loss in zip(rows, summed, strict=True):
            _insist_on_number(test, loss)
        return list(zip(summed, counted.tolist(), strict=True))

    found = fitting(forward, batches(order, batch_size, "loss"))
    by_index = dict(zip(order, found, strict=True))
    return [by_index[index] for index in range(len(tests))]


def _first_counted(targets: Any) -> int:
    """The first column of labels in which one counts; never that of the first token, which nothing
    predicts."""
    columns = (targets[:, 1:] != -100).any(0).nonzero()
    return 1 + (columns[0].item() if len(columns) else 0)


def _last_logits(model: Any, positions: int, **given: Any) -> Any:
    """What a model predicts at the last positions, and nowhere else if it can leave that out."""
    able = "logits_to_keep" in inspect.signature(model.forward).parameters
    kept = {"logits_to_keep": positions} if able else {}
    return model(**given, **kept).logits[:, -positions:]


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
