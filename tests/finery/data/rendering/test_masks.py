"""The loss counts the assistant's words and end of turn, exactly, in every family's template."""

from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from finery.data.formats.examples import Example, Message
from finery.data.rendering.chat import Problem, Renderer
from finery.data.rendering.samples import Sample
from finery.data.rendering.spans import MARK
from finery.models.conversation import TODAY

from . import families
from .families import CONTROL, FAMILIES, Family

ODD = [
    "yes", " x ", "\n\nlines\n\n", "a\t", "[INST] no [/INST]", "{{ bos_token }}", "{% if x %}",
    "assistant\n", "<|", "|>", "<<SYS>>", "👩‍👩‍👧 🇩🇪", "e\u0301", "ñ\u00a0é", "你是谁？", "\u3000",
    "\x85", "```\nif a <b>:\n    return 'c'\n```", '{"name": "f"}', "finery", "?", "!", MARK,
]  # fmt: skip
characters = st.characters(exclude_categories=["Cs"], exclude_characters="▁\0")
words = (
    st.lists(st.sampled_from(ODD) | st.text(characters, max_size=8), min_size=1, max_size=4)
    .map("".join)
    .filter(lambda text: text.strip() and not any(token in text for token in CONTROL))
)
conversations = st.tuples(
    st.none() | words, st.lists(st.tuples(words, words), min_size=1, max_size=3)
)
anything = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@pytest.fixture(scope="module", params=["byte_level", "sentence_piece"])
def core(request: pytest.FixtureRequest) -> Any:
    return getattr(families, request.param)()


@pytest.fixture(scope="module", params=FAMILIES)
def known(request: pytest.FixtureRequest, core: Any) -> tuple[Family, PreTrainedTokenizerFast]:
    """A family, and a tokenizer with its chat template."""
    family = FAMILIES[request.param]
    return family, families.tokenizer(core, family)


def chat(system: str | None, turns: list[tuple[str, str]]) -> Example:
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for question, answer in turns:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return Example("d", 7, tuple(messages))


@cache
def renderer(tokenizer: Any, **options: Any) -> Renderer:
    return Renderer(tokenizer, **options)


def encoded(known: Any, example: Example, **options: Any) -> Sample:
    (sample,) = renderer(known[1], **options).encode([example])
    assert isinstance(sample, Sample), sample
    assert len(sample.labels) == len(sample.input_ids) and not sample.cut
    assert np.all((sample.labels == sample.input_ids) | (sample.labels == -100))
    return sample


def _on_day_one(text: str) -> str:
    """transformers tells templates today's date, Finery always the same."""
    return text.replace(datetime.now().strftime("%d %b %Y"), TODAY.strftime("%d %b %Y"))


def counted(tokenizer: Any, sample: Sample) -> list[str]:
    """The text of each run of tokens that the loss counts."""
    inside = np.concatenate(([0], sample.labels != -100, [0]))
    edges = np.flatnonzero(np.diff(inside))
    return [
        tokenizer.decode(sample.input_ids[start:end])
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


@anything
@given(conversation=conversations)
def test_the_counted_tokens_are_the_answers(known: Any, conversation: Any):
    family, tokenizer = known
    system, turns = conversation
    system = system if family.system else None
    answers = [answer for _, answer in turns]
    expected = [family.turn(answer, False) for answer in answers[:-1]]
    expected.append(family.turn(answers[-1], True))
    sample = encoded(known, chat(system, turns))
    assert counted(tokenizer, sample) == expected
    last = encoded(known, chat(system, turns), mask_history=True)
    assert counted(tokenizer, last) == expected[-1:]
    assert np.array_equal(last.input_ids, sample.input_ids)


def test_the_tokens_are_those_of_transformers(known: Any):
    family, tokenizer = known
    example = chat("Be brief." if family.system else None, [(" Who?\n", "Me."), ("你", "\n我 ")])
    text = tokenizer.apply_chat_template(list(example.messages), tokenize=False)
    ids = tokenizer(_on_day_one(text), add_special_tokens=False)["input_ids"]
    ours = encoded(known, example).input_ids.tolist()
    ids += [tokenizer.eos_token_id] if family.is_open else []
    assert ours == ids
    prompt = tokenizer.apply_chat_template(
        list(example.messages[:-1]), tokenize=False, add_generation_prompt=True
    )
    (asked,) = renderer(tokenizer).prompts([example])
    ids = tokenizer(_on_day_one(prompt), add_special_tokens=False)["input_ids"]
    assert asked.tolist() == ids == ours[: len(ids)]


@pytest.mark.parametrize("name", ["legacy_llama", "metaspace", "trimmed_offsets"])
def test_what_counts_begins_where_the_prompt_ends_in_other_tokenizers(name: str):
    core = getattr(families, name)()
    for family in FAMILIES.values():
        tokenizer = families.tokenizer(core, family)
        made = renderer(tokenizer)
        for turn in (("Who? 你", " I am é  👩‍👩‍👧"), ("Again\n", "Me \n"), ("x", "你")):
            example = chat(None, [turn])
            (sample,), (prompt,) = made.encode([example]), made.prompts([example])
            assert isinstance(sample, Sample)
            assert sample.input_ids[: len(prompt)].tolist() == prompt.tolist()
            between = sample.input_ids[len(prompt) : int(np.argmax(sample.labels != -100))]
            assert tokenizer.decode(between) == family.empty


@anything
@given(conversation=conversations)
def test_the_quick_way_is_the_exact_way(known: Any, conversation: Any):
    family, tokenizer = known
    system, turns = conversation
    messages = chat(system if family.system else None, turns).messages
    rendering = renderer(tokenizer)._rendering
    quick = rendering._by_skeleton(messages, last_only=False)
    assume(quick is not None)
    assert quick == rendering._exactly(messages, (), last_only=False)


def test_clean_conversations_go_the_quick_way(known: Any):
    family, tokenizer = known
    rendering = renderer(tokenizer)._rendering
    for turns in ([("Who?", "Me.")], [("Who?", "Me."), ("Again?", "你好")]):
        messages = chat("Be brief." if family.system else None, turns).messages
        assert rendering._by_skeleton(messages, last_only=False) is not None


def test_train_on_prompt_counts_every_token_but_the_first(known: Any):
    sample = encoded(known, chat(None, [("Who?", "Me.")]), train_on_prompt=True)
    assert sample.labels.tolist() == [-100, *sample.input_ids[1:].tolist()]


def test_control_tokens_among_the_words_are_refused(known: Any):
    family, tokenizer = known
    ending = chat(None, [("Who?", f"Me.{family.eos} And more.")])
    asking = chat(None, [(f"{family.eos}Who?", "Me.")])
    results = renderer(tokenizer).encode([ending, asking])
    assert results == [
        Problem(
            7, "", "control-token", f"{who}: contains the control token {family.eos}; remove it"
        )
        for who in ("assistant", "user")
    ]


def test_a_system_prompt_is_rendered_or_refused(known: Any):
    family, tokenizer = known
    (result,) = renderer(tokenizer).encode([chat("Be brief.", [("Who?", "Me.")])])
    if family.system:
        assert isinstance(result, Sample)
        assert "Be brief." in tokenizer.decode(result.input_ids)
    else:
        assert result == Problem(
            7, "", "template", "the chat template refuses it: no system prompt"
        )
