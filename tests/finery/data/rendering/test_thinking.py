"""Thinking: learnt where the data has it, from where the model is prompted, and nothing else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from finery.data.formats.examples import Example, Message
from finery.data.formats.unread import NO_THOUGHTS, THOUGHTS
from finery.data.rendering.chat import Problem, Renderer
from finery.data.rendering.samples import Sample
from finery.models.chat_template import ChatTemplateError

from . import families
from .families import FIRST_SYSTEM, QWEN3, Family

R1 = (
    FIRST_SYSTEM + "{{ bos_token + system }}{% for m in turns %}{% if m.role == 'user' %}"
    "{{ '<｜User｜>' + m.content }}{% else %}{% set words = m.content %}"
    "{% if '</think>' in words %}{% set words = words.split('</think>')[-1] %}{% endif %}"
    "{{ '<｜Assistant｜>' + words + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}"
)
"""As DeepSeek R1 has it: the prompt begins a thought, and the conversation never has one."""
SWITCHED = R1.replace("'<｜Assistant｜>' + words", "'<｜Assistant｜></think>' + words").replace(
    "{{ '<｜Assistant｜><think>\n' }}",
    "{{ '<｜Assistant｜>' + ('<think>' if thinking is defined and thinking else '</think>') }}",
)
"""As DeepSeek V3.1 has it: a keyword says whether the prompt begins a thought or ends one."""
ALWAYS = QWEN3.replace(
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}",
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}",
)
"""As Qwen 3's models that always think have it."""
EVERY_TURN = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% if m.role == 'assistant' %}"
    "{{ '\n<think>' + (m.reasoning_content or '') + '</think>\n' }}{% endif %}{{ m.content }}"
    "{% endfor %}{{ '<|user|>' if not add_generation_prompt }}{% if add_generation_prompt %}"
    "{{ '<|assistant|>' }}{{ '\n<think></think>' if enable_thinking is false }}{% endif %}"
)
"""As GLM 4.5 has it: a thought in every turn, an empty one if there was none."""
KEPT = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)
"""The prompt begins a thought, and what is said is written as it is."""
CHATML, DEEPSEEK = ("<|im_start|>", "<|im_end|>"), ("<s>", "<｜end-of-sentence｜>")
GLM = "<s>", "<|user|>"
Encode = Callable[..., Any]


def user(words: str = "?") -> Message:
    return {"role": "user", "content": words}


def answer(words: str, thought: str | None = None) -> Message:
    message = {"role": "assistant", "content": words}
    return message if thought is None else message | {"reasoning_content": thought}


@pytest.fixture(scope="module")
def core() -> Any:
    return families.byte_level()


@pytest.fixture
def encode(core: Any) -> Encode:
    """The prompt, what comes between it and what counts, what counts, and what is noted."""

    def encoded(
        template: str, ends: tuple[str, str], *messages: Message, last: bool = False, **given: Any
    ) -> Any:
        tokenizer = families.tokenizer(core, Family(template, lambda a, _: a, *ends))
        renderer = Renderer(tokenizer, mask_history=last, keywords=given)
        example = Example("d", 7, messages)
        (sample,), (prompt,) = renderer.encode([example]), renderer.prompts([example])
        if isinstance(sample, Problem):
            return sample.problem
        ids, counts = sample.input_ids, sample.labels != -100
        assert ids[: len(prompt)].tolist() == prompt.tolist()
        last_turn = np.flatnonzero(~counts[:-1] & counts[1:])[-1] + 1
        between = tokenizer.decode(ids[len(prompt) : last_turn])
        return between, tokenizer.decode(ids[counts]), sample.noted

    return encoded


EMPTY = "<think>\n\n</think>\n\n"
THOUGHT = "<think>\nHm.\n</think>\n\n"


@pytest.mark.parametrize("spelt", [answer("A.", "Hm."), answer(f"{THOUGHT}A.")])
@pytest.mark.parametrize(
    "template, ends, given, counted",
    [
        (QWEN3, CHATML, {}, f"{THOUGHT}A.<|im_end|>"),
        (QWEN3, CHATML, {"enable_thinking": True}, f"{THOUGHT}A.<|im_end|>"),
        (ALWAYS, CHATML, {}, "Hm.\n</think>\n\nA.<|im_end|>"),
        (R1, DEEPSEEK, {}, "Hm.\n</think>\n\nA.<｜end-of-sentence｜>"),
        (SWITCHED, DEEPSEEK, {"thinking": True}, "Hm.</think>A.<｜end-of-sentence｜>"),
    ],
)
def test_thinking_is_learnt_from_where_the_prompt_ends(
    encode: Encode, template: str, ends: Any, given: Any, counted: str, spelt: Message
):
    assert encode(template, ends, user(), spelt, **given) == ("", counted, ())


@pytest.mark.parametrize("words", ["A.", " A", "\nA"])
@pytest.mark.parametrize(
    "template, ends, given, between",
    [
        (QWEN3, CHATML, {}, EMPTY),
        (QWEN3, CHATML, {"enable_thinking": True}, EMPTY),
        (QWEN3, CHATML, {"enable_thinking": False}, ""),
        (ALWAYS, CHATML, {}, "\n</think>\n\n"),
        (R1, DEEPSEEK, {}, "\n</think>\n\n"),
        (SWITCHED, DEEPSEEK, {}, ""),
        (SWITCHED, DEEPSEEK, {"thinking": False}, ""),
        (SWITCHED, DEEPSEEK, {"thinking": True}, "</think>"),
        (EVERY_TURN, GLM, {}, "\n<think></think>\n"),
    ],
)
def test_an_empty_thought_that_the_template_writes_is_not_learnt(
    encode: Encode, template: str, ends: Any, given: Any, between: str, words: str
):
    said = words.lstrip("\n") if template in (QWEN3, ALWAYS) else words
    noted = (NO_THOUGHTS,) if between else ()
    assert encode(template, ends, user(), answer(words), **given) == (
        between,
        said + ends[1],
        noted,
    )


def test_an_empty_thought_that_the_data_has_is_learnt(encode: Encode):
    said = answer(f"{EMPTY}A.")
    assert encode(QWEN3, CHATML, user(), said) == ("", f"{EMPTY}A.<|im_end|>", ())
    counted = "\n</think>\n\nA.<｜end-of-sentence｜>"
    assert encode(R1, DEEPSEEK, user(), said) == ("", counted, ())


def test_in_every_turn_the_empty_thoughts_are_left_out_and_the_others_are_not(encode: Encode):
    chat = user(), answer("A."), user(), answer("B.", "Hm."), user(), answer("C.")
    assert encode(EVERY_TURN, GLM, *chat)[1:] == (
        "A.<|user|>\n<think>Hm.</think>\nB.<|user|>C.<|user|>",
        (NO_THOUGHTS,),
    )
    # Prompted with the empty thought, all that is left of it is the line break.
    assert encode(EVERY_TURN, GLM, user(), answer("A."), enable_thinking=False) == (
        "",
        "\nA.<|user|>",
        (),
    )


def test_turns_without_thinking_count_where_the_prompt_says_so(encode: Encode):
    chat = user(), answer("A."), user(), answer("<b>B</b>")
    assert encode(QWEN3, CHATML, *chat, enable_thinking=False) == (
        "",
        "A.<|im_end|><b>B</b><|im_end|>",
        (),
    )
    earlier = user(), answer("<b>A</b>", "Hm."), user(), answer("B.")
    assert encode(QWEN3, CHATML, *earlier, enable_thinking=False) == (
        "",
        "<b>A</b><|im_end|>B.<|im_end|>",
        (THOUGHTS,),
    )


def test_thinking_where_the_prompt_says_there_is_none_is_refused(encode: Encode):
    for said in (answer("A.", "Hm."), answer(f"{THOUGHT}A.")):
        refused = encode(QWEN3, CHATML, user(), said, enable_thinking=False)
        assert refused.startswith("the chat template prompts for an answer without thinking")
        assert refused.endswith("or change data.chat_template_kwargs")


def test_earlier_turns_that_are_never_prompted_for_like_that(encode: Encode):
    chat = user(), answer("A.", "Hm."), user(), answer("B.", "So.")
    assert "use data.mask_history: true or" in encode(R1, DEEPSEEK, *chat)
    assert encode(R1, DEEPSEEK, *chat, last=True) == (
        "",
        "So.\n</think>\n\nB.<｜end-of-sentence｜>",
        (THOUGHTS,),
    )


@pytest.mark.parametrize(
    "said", [f"{THOUGHT}A.", "<think>Hm.\n</think>\n\nA.", "Hm.\n</think>\n\nA."]
)
def test_thinking_that_the_template_writes_as_it_is_is_not_written_twice(encode: Encode, said: str):
    expected = "", "Hm.\n</think>\n\nA.<|im_end|>", ()
    assert encode(KEPT, CHATML, user(), answer(said)) == expected


def test_of_two_answers_of_which_one_thinks_the_other_says_that_it_does_not(core: Any):
    tokenizer = families.tokenizer(core, Family(QWEN3, lambda a, _: a, *CHATML))

    def pair(chosen: Message, rejected: Message) -> tuple[str, str]:
        example = Example("d", 7, (user(),), chosen=chosen, rejected=rejected)
        (sample,) = Renderer(tokenizer).encode([example])
        assert isinstance(sample, Sample) and sample.rejected is not None
        prompts = [int(np.argmax(each.labels != -100)) for each in (sample, sample.rejected)]
        ids = sample.input_ids, sample.rejected.input_ids
        assert ids[0][: prompts[0]].tolist() == ids[1][: prompts[1]].tolist()
        return tuple(tokenizer.decode(i[p:]).strip() for i, p in zip(ids, prompts, strict=True))

    assert pair(answer("A."), answer("B.")) == ("A.<|im_end|>", "B.<|im_end|>")
    assert pair(answer("A.", "Hm."), answer("B.")) == (
        f"{THOUGHT}A.<|im_end|>",
        f"{EMPTY}B.<|im_end|>",
    )


def test_a_keyword_that_the_template_does_not_know(core: Any):
    tokenizer = families.tokenizer(core, Family(QWEN3, lambda a, _: a, *CHATML))
    with pytest.raises(ChatTemplateError) as refused:
        Renderer(tokenizer, keywords={"enable_thinkng": False, "tools": None, "eos_token": ""})
    assert str(refused.value).splitlines() == [
        "data.chat_template_kwargs.enable_thinkng: the chat template knows no such keyword; did you"
        " mean enable_thinking?",
        "data.chat_template_kwargs.tools: every chat template is given that; remove it",
        "data.chat_template_kwargs.eos_token: every chat template is given that; remove it",
    ]
    plain = families.tokenizer(core, families.FAMILIES["Llama 3"])
    with pytest.raises(ChatTemplateError, match="takes no keywords; remove it"):
        Renderer(plain, keywords={"enable_thinking": False})
