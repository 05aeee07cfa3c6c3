"""Answers do not depend on what else is in the batch."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finery.inference.answers import Answer, answer
from finery.inference.decoding import Decoding
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


def test_a_repetition_penalty_is_of_what_was_said_and_not_of_padding(
    model: Any, tokenizer: Any, prompts: list[list[int]]
):
    """Padding is the token that ends an answer: penalized, short prompts would be told on."""
    model = copy.copy(model)
    model.generation_config = copy.deepcopy(model.generation_config)
    model.generation_config.repetition_penalty = 1.7
    expected = [answer(model, tokenizer, [prompt], LENGTH, 1)[0] for prompt in prompts]
    assert answer(model, tokenizer, prompts, LENGTH, 100) == expected
    assert expected != answer(model, tokenizer, prompts, LENGTH, 100, None, penalty(1.0))
    model.generation_config.repetition_penalty = 1.0
    assert answer(model, tokenizer, prompts, LENGTH, 100, None, penalty(1.7)) == expected
    ids = list(prompts[0])  # Keskar et al. 2019: divided where above 0, else multiplied
    for _ in range(LENGTH):
        with torch.inference_mode():
            scores = model(torch.tensor([ids])).logits[0, -1]
        seen = torch.zeros(len(scores), dtype=bool).index_fill(0, torch.tensor(ids), True)
        scores = torch.where(seen, torch.where(scores < 0, scores * 1.7, scores / 1.7), scores)
        ids.append(int(scores.argmax()))
    said = tokenizer.decode(ids[len(prompts[0]) :], skip_special_tokens=True)
    assert expected[0].text == said.strip() and not expected[0].finished


def penalty(value: float) -> Decoding:
    return Decoding(repetition_penalty=value)


@pytest.mark.parametrize("decoding", [Decoding(temperature=1.3), Decoding(0.8, 0.9, 20, 1.2)])
def test_what_is_drawn_does_not_depend_on_the_batch(
    model: Any, tokenizer: Any, prompts: list[list[int]], decoding: Decoding
):
    def drawn(prompts: list[list[int]], batch_size: int, how: Decoding = decoding) -> list[Answer]:
        return answer(model, tokenizer, prompts, LENGTH, batch_size, None, how)

    twice = [*prompts, prompts[0]]
    expected = drawn(twice, 1)
    assert drawn(twice, 3) == drawn(twice, 100) == expected
    assert drawn(prompts[::-1], 4) == expected[:-1][::-1]
    assert expected[0] != expected[-1], "the same question again has another answer"
    assert drawn(prompts, 4, replace(decoding, seed=7)) != expected[:-1]
    assert drawn(prompts, 4) != answer(model, tokenizer, prompts, LENGTH, 4)


def test_tokens_are_drawn_as_probable_as_they_are(tiny_model: Path, tokenizer: Any):
    loaded, prompt, count = load_for_inference(tiny_model), tokenizer("Who")["input_ids"], 4000
    with torch.inference_mode():
        scores = loaded(torch.tensor([prompt])).logits[0, -1]

    def shares(decoding: Decoding) -> torch.Tensor:
        chosen = decoding.processors(
            loaded, [len(prompt)] * count, decoding.seeds([prompt] * count)
        )
        found, ids = scores.expand(count, -1), torch.tensor([prompt] * count)
        for process in chosen:
            found = process(ids, found)
        assert (found.isfinite().sum(1) == 1).all()
        return found.argmax(1).bincount(minlength=len(scores)) / count

    hot = (scores / 0.25).softmax(-1)
    error = 4 * (hot * (1 - hot) / count).sqrt()  # of 403 shares, one in 40 runs is off by so much
    assert ((shares(Decoding(0.25)) - hot).abs() <= error + 1 / count).all()
    kept = torch.where(scores >= scores.topk(3).values[-1], hot, 0)
    assert (shares(Decoding(0.25, top_k=3)) - kept / kept.sum()).abs().max() < 0.04
    assert shares(Decoding(1, top_p=1e-6))[scores.argmax()] == 1


@pytest.mark.parametrize("batch_size", [1, 100])
def test_stop_texts_end_an_answer_and_are_not_in_it(
    model: Any, tokenizer: Any, prompts: list[list[int]], batch_size: int
):
    whole = answer(model, tokenizer, prompts, LENGTH, batch_size)
    stop = whole[0].text[4:7]
    assert len(stop) == 3 and stop not in whole[1].text
    found = answer(model, tokenizer, prompts, LENGTH, batch_size, None, Decoding(stop=[stop]))
    assert found[0].text == whole[0].text.partition(stop)[0].strip()
    assert found[0].finished and found[0].tokens < whole[0].tokens == LENGTH
    assert found[1] == whole[1]
