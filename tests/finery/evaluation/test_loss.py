"""The held-out loss is transformers' own, sample by sample, in batches of any size."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from finery.evaluation.loss import EvaluationError, losses, perplexity
from finery.inference.loading import load_for_inference

# The lengths of a test and of its question, which does not count.
SIZES = ((12, 4), (30, 29), (7, 1), (3, 0))
TESTS = [
    {"input_ids": [5 + i for i in range(size)],
     "labels": [5 + i if i >= asked else -100 for i in range(size)]}
    for size, asked in SIZES
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    return load_for_inference(tiny_model)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_losses(model: Any, batch_size: int):
    expected = []
    for test in TESTS:
        ids, labels = (torch.tensor([test[key]]) for key in ("input_ids", "labels"))
        counted = int((labels[:, 1:] != -100).sum())
        with torch.inference_mode():
            expected.append((model(input_ids=ids, labels=labels).loss.item() * counted, counted))
    found = losses(model, TESTS, batch_size)
    assert [count for _, count in found] == [8, 1, 6, 2]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_the_head_predicts_what_counts_and_no_more(model: Any):
    seen: list[tuple[int, ...]] = []
    hook = model.lm_head.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[:2]))
    try:
        losses(model, TESTS[:3], 2)
        losses(model, [TESTS[0] | {"labels": [-100] * 12}], 1)
    finally:
        hook.remove()
    # the shortest two: from the second of twelve tokens on; the one whose last token counts: two
    assert seen == [(2, 12), (1, 2), (1, 12)]


def test_a_model_that_predicts_everywhere_has_the_same_losses(
    model: Any, monkeypatch: pytest.MonkeyPatch
):
    expected, forward = losses(model, TESTS, 4), model.forward
    monkeypatch.setattr(
        model, "forward", lambda input_ids, attention_mask: forward(input_ids, attention_mask)
    )
    assert losses(model, TESTS, 4) == [(pytest.approx(loss), n) for loss, n in expected]


def test_perplexity():
    assert perplexity(0) == 1
    assert perplexity(math.log(7)) == pytest.approx(7)
    assert perplexity(1e6) == math.inf


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_stop_at_the_test(tiny_model: Path, value: float):
    broken = load_for_inference(tiny_model)
    broken.model.norm.weight.data[7] = value
    tests = [test | {"dataset": "faq", "question": "Who?"} for test in TESTS]
    with pytest.raises(EvaluationError) as error:
        losses(broken, tests, 1)
    assert str(error.value).startswith("faq: 'Who?': the loss is nan, for the model's logits are ")
    assert error.value.exit_status == 1
