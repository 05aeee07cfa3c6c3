"""Answers with the weight 0 keep their tokens and lose their labels; thinking is never lost."""

from typing import Any

import numpy as np
import pytest

from finery.data.formats.examples import Example, Message
from finery.data.formats.unread import THOUGHTS
from finery.data.rendering.chat import Problem, Renderer
from finery.data.rendering.samples import Sample
from finery.data.tokens.splits import digest

from . import families
from .families import FAMILIES, QWEN3, Family


def chat(*words: str, thinking: dict[int, str] | None = None, **more: Any) -> Example:
    roles = ("user", "assistant")
    messages: list[Message] = [
        {"role": roles[index % 2], "content": said} for index, said in enumerate(words)
    ]
    for index, thought in (thinking or {}).items():
        messages[index]["reasoning_content"] = thought
    return Example("d", 7, tuple(messages), **more)


def encoded(tokenizer: Any, example: Example, **options: Any) -> Any:
    (made,) = Renderer(tokenizer, **options).encode([example])
    return made


def counted(tokenizer: Any, sample: Any) -> list[str]:
    """The text of each run of tokens that the loss counts."""
    assert isinstance(sample, Sample), sample
    inside = np.concatenate(([0], sample.labels != -100, [0]))
    edges = np.flatnonzero(np.diff(inside))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [tokenizer.decode(sample.input_ids[start:end]) for start, end in pairs]


@pytest.fixture(scope="module")
def core() -> Any:
    return families.byte_level()


@pytest.fixture(scope="module")
def chatml(core: Any) -> Any:
    return families.tokenizer(core, FAMILIES["ChatML (Qwen 1.5)"])


@pytest.fixture(scope="module")
def qwen3(core: Any) -> Any:
    return families.tokenizer(core, Family(QWEN3, lambda a, _: a, "<|im_start|>", "<|im_end|>"))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_tokens_stay_and_the_labels_go(core: Any, name: str):
    family = FAMILIES[name]
    tokenizer = families.tokenizer(core, family)
    words = ("2+3?", "Six.", "Sure?", "Sorry, five.", "And?", "Seven.")
    whole = encoded(tokenizer, chat(*words))
    turns = counted(tokenizer, whole)
    assert len(turns) == 3
    for uncounted in ((1,), (3,), (5,), (1, 3), (1, 5)):
        sample = encoded(tokenizer, chat(*words, uncounted=uncounted))
        left = [
            turn for index, turn in zip((1, 3, 5), turns, strict=True) if index not in uncounted
        ]
        assert counted(tokenizer, sample) == left
        assert sample.input_ids.tolist() == whole.input_ids.tolist()
        assert np.all((sample.labels == -100) | (sample.labels == whole.labels))


def test_many_at_once(chatml: Any):
    examples = [
        chat("2+3?", "Six.", "Sure?", f"Five, {n}.", uncounted=(1,) if n % 2 else ())
        for n in range(20)
    ]
    for number, sample in enumerate(Renderer(chatml).encode(examples)):
        last = f"Five, {number}.<|im_end|>"
        assert counted(chatml, sample) == ([last] if number % 2 else ["Six.<|im_end|>", last])


def test_a_cut_leaves_the_answers_that_count(chatml: Any):
    short = encoded(chatml, chat("2+3?", "Five."))
    long = chat("2+3?", "Five.", "Sure?", "Six " * 50, uncounted=(3,))
    cut = encoded(chatml, long, cutoff_len=len(short.input_ids) + 9)
    assert counted(chatml, cut) == ["Five.<|im_end|>"] and not cut.cut


@pytest.mark.parametrize(
    "uncounted, options, problem",
    [
        ((3,), {"mask_history": True}, "the last answer has the weight 0, and data.mask_history"),
        ((1,), {"train_on_prompt": True}, "an answer has the weight 0, and data.train_on_prompt"),
    ],
)
def test_settings_that_count_otherwise(chatml: Any, uncounted: tuple, options: dict, problem: str):
    words = ("2+3?", "Six.", "Sure?", "Five.")
    bad = encoded(chatml, chat(*words, uncounted=uncounted), **options)
    assert isinstance(bad, Problem) and bad.kind == "weight" and bad.problem.startswith(problem)
    good = encoded(chatml, chat(*words, uncounted=(1,)), mask_history=True)
    assert counted(chatml, good) == ["Five.<|im_end|>"]


def test_what_counts_decides_which_samples_are_copies():
    plain, weighed = chat("a", "b", "c", "d"), chat("a", "b", "c", "d", uncounted=(1,))
    assert len({digest(plain), digest(weighed)}) == 2
    assert digest(weighed) == digest(chat("a", "b", "c", "d", uncounted=(1,)))


def test_thinking_is_written_or_refused(chatml: Any, qwen3: Any):
    last = chat("2+3?", "Five.", thinking={1: "Two and three."})
    assert counted(qwen3, encoded(qwen3, last)) == [
        "<think>\nTwo and three.\n</think>\n\nFive.<|im_end|>"
    ]
    earlier = chat("2+3?", "Five.", "Sure?", "Yes.", thinking={1: "Two and three."})
    for options in ({}, {"mask_history": True}):
        for example in (last, earlier):
            bad = encoded(chatml, example, **options)
            assert isinstance(bad, Problem) and bad.kind == "template"
            assert bad.problem.startswith("the chat template ") and "thinking" in bad.problem


def test_thinking_that_a_template_writes_in_the_last_turn_alone_is_noted(chatml: Any, qwen3: Any):
    words = ("2+3?", "Five.", "Sure?", "Yes.")
    beside = chat(*words, thinking={1: "Two and three."})
    among = chat(words[0], "<think>\nTwo and three.\n</think>\n\nFive.", *words[2:])
    plain = encoded(qwen3, chat(*words))
    for example in (beside, among):
        sample = encoded(qwen3, example)
        assert THOUGHTS in sample.noted and THOUGHTS not in plain.noted
        assert sample.input_ids.tolist() == plain.input_ids.tolist()
    assert not encoded(chatml, among).noted
    kept = encoded(qwen3, chat("2+3?", "Five.", thinking={1: "Two and three."}))
    assert not kept.noted
