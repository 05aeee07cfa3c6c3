"""Answers do not depend on what else is in the batch."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from finery.inference.answers import Answer, answer
from finery.inference.loading import load_for_inference
from finery.models.tokenizer import load_tokenizer

PROMPTS = ["Who are you?", "Hi", "How many boats?" * 3, "The quick brown fox", "Who?", "0123"]
LENGTH = 12


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    """Weights large enough that every token, and a pad attended to, changes the answer."""
    loaded = load_for_inference(tiny_model)
    generator = torch.Generator().manual_seed(0)
    for name, weight in loaded.named_parameters():
        if "_proj" in name:
            weight.data.normal_(std=0.3, generator=generator)
    return loaded


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


@pytest.fixture(scope="module")
def prompts(tokenizer: Any) -> list[list[int]]:
    return [tokenizer(prompt)["input_ids"] for prompt in PROMPTS]


def greedy(model: Any, prompt: list[int], stops: set[int]) -> list[int]:
    """The most likely token after the most likely token, without any cache, mask or padding."""
    ids = list(prompt)
    for _ in range(LENGTH):
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in stops:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
@pytest.mark.parametrize("stop_early", [False, True])
def test_batched_answers_are_the_greedy_ones(
    model: Any, tokenizer: Any, prompts: list[list[int]], batch_size: int, stop_early: bool
):
    model = copy.copy(model)
    model.generation_config = copy.deepcopy(model.generation_config)
    if stop_early:  # as if the third token of the first answer ended a turn too
        third = greedy(model, prompts[0], set())[2]
        model.generation_config.eos_token_id = [2, third]
    eos = model.generation_config.eos_token_id
    stops = set(eos) if isinstance(eos, list) else {eos}
    expected = []
    for prompt in prompts:
        ids = greedy(model, prompt, stops)
        kept = ids[:-1] if ids[-1] in stops else ids
        text = tokenizer.decode(kept, skip_special_tokens=True).strip()
        expected.append(Answer(text, len(kept), ids[-1] in stops))
    assert answer(model, tokenizer, prompts, LENGTH, batch_size) == expected
    assert any(each.finished for each in expected) == stop_early
    assert not all(each.finished for each in expected)


def test_no_prompts_no_answers(model: Any, tokenizer: Any):
    assert answer(model, tokenizer, [], LENGTH, 4) == []
