"""The loss counts the assistant's words and end of turn, exactly, whatever the template."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finery.data.alpaca import Example, Message
from finery.data.chat import TemplateError, assistant_mask, render_prompt, tokenize
from finery.tokenizers import load_tokenizer

EVERYTHING = 10**6
LLAMA2 = (
    "{% if messages[0].role == 'system' %}{% set ns = messages[1:] %}"
    "{% set system = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}"
    "{% else %}{% set ns = messages %}{% set system = '' %}{% endif %}"
    "{% for m in ns %}{% if m.role == 'user' %}{{ bos_token }}[INST] "
    "{{ system if loop.first else '' }}{{ m.content }} [/INST]"
    "{% else %} {{ m.content }} </s>{% endif %}{% endfor %}"
)
ZEPHYR = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}</s>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
    "{{ m.content | trim }}<end_of_turn>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
TEMPLATES = {
    "chatml": (None, lambda answer: f"{answer}<|im_end|>"),
    "llama2": (LLAMA2, lambda answer: f" {answer} </s>"),
    "zephyr": (ZEPHYR, lambda answer: f"{answer}</s>"),
    "gemma": (GEMMA, lambda answer: f"{answer.strip()}<end_of_turn>"),
}
CONVERSATIONS = {
    "one turn": ["Who are you?", "I am an assistant."],
    "three turns": ["Who?", "Me.", "Again: who?", "Me again.", "And again?", "Me."],
    "the same words": ["yes", "yes", "yes", "yes"],
    "chinese": ["你是谁？", "我是一个人工智能助手。", "灯塔叫什么？", "灯塔叫“盐海”。"],
    "emoji": ["👩‍👩‍👧 🇩🇪", "🙂👍🏽 fin", "e\u0301", "ñ\u00a0é"],
    "white space": ["a ", "  two  \n words\t", "\nb", "\n\nlines\n\n"],
    "code": ["```", "if a <b>:\n    return '[INST]'  # {{ no }}\n"],
}


@pytest.fixture(scope="session")
def chatml(tiny_model: Any) -> Any:
    return load_tokenizer(tiny_model)


def using(tokenizer: Any, template: str | None) -> Any:
    """The tokenizer with another chat template, and that template's marks as special tokens."""
    if template is None:
        return tokenizer
    own = copy.deepcopy(tokenizer)
    own.chat_template = template
    own.add_special_tokens(
        {"additional_special_tokens": ["</s>", "<start_of_turn>", "<end_of_turn>"]}
    )
    return own


def example(*turns: str, system: str | None = None) -> Example:
    roles = ("user", "assistant")
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages += [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
    return Example("d", 7, tuple(messages))


def counted(tokenizer: Any, example: Example) -> str:
    """The text of the tokens that the loss counts."""
    sample = tokenize(tokenizer, example, EVERYTHING)
    assert len(sample.labels) == len(sample.input_ids) and not sample.cut
    pairs = zip(sample.input_ids, sample.labels, strict=True)
    assert all(label in (token, -100) for token, label in pairs)
    return tokenizer.decode([label for label in sample.labels if label != -100])


@pytest.mark.parametrize("system", [None, "Be brief. 简短。"])
@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_the_counted_tokens_are_the_answers(
    chatml: Any, name: str, conversation: str, system: str | None
):
    template, turn = TEMPLATES[name]
    tokenizer = using(chatml, template)
    chat = example(*CONVERSATIONS[conversation], system=system)
    if name == "gemma" and system:
        with pytest.raises(TemplateError, match=r"refuses it: System role"):
            tokenize(tokenizer, chat, EVERYTHING)
        return
    answers = CONVERSATIONS[conversation][1::2]
    assert counted(tokenizer, chat) == "".join(map(turn, answers))
    ids = tokenizer.apply_chat_template(list(chat.messages), return_dict=False)
    assert tokenize(tokenizer, chat, EVERYTHING).input_ids == ids


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    turns=st.lists(st.tuples(words, words), min_size=1, max_size=3),
    system=st.none() | words,
)
def test_any_conversation_in_chatml(chatml: Any, turns: list[tuple[str, str]], system: str | None):
    chat = example(*(text for turn in turns for text in turn), system=system)
    assert counted(chatml, chat) == "".join(f"{answer}<|im_end|>" for _, answer in turns)


LAST_TURN = "{% for m in messages[-2:] %}" + "{{ m.role }}: {{ m.content }}\n{% endfor %}"
NO_ANSWERS = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}\n{% endif %}{% endfor %}"
)
THINKING = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{% if loop.last and m.role == 'assistant' %} (end){% endif %}\n{% endfor %}"
)


@pytest.mark.parametrize(
    "template, turns, said",
    [
        (LAST_TURN, 2, "the chat template changes earlier turns of a conversation; use one turn"),
        (THINKING, 2, "the chat template changes earlier turns of a conversation; use one turn"),
        (NO_ANSWERS, 1, "the chat template leaves out the assistant's words"),
        ("{{ messages[0].content", 1, "the chat template refuses it: "),
        ("{{ messages[0].content.nothing.here }}", 1, "the chat template refuses it: "),
    ],
)
def test_templates_that_cannot_be_masked_are_refused(
    chatml: Any, template: str, turns: int, said: str
):
    tokenizer = using(chatml, template)
    with pytest.raises(TemplateError) as caught:
        tokenize(tokenizer, example(*["question one", "answer one"] * turns), EVERYTHING)
    assert str(caught.value).startswith(f"d: row 7: {said}")
    assert "\n" not in str(caught.value)


def test_a_long_sample_loses_its_end(chatml: Any):
    chat = example("Who are you?", "I am an assistant made for a test.")
    whole = tokenize(chatml, chat, EVERYTHING)
    prompt = len(whole.input_ids) - whole.trained_tokens - 1  # the newline after the last turn
    size = prompt + 3
    cut = tokenize(chatml, chat, size)
    assert (cut.input_ids, cut.labels) == (whole.input_ids[:size], whole.labels[:size])
    assert (cut.cut, cut.trained_tokens) == (True, 3)
    assert tokenize(chatml, chat, len(whole.input_ids)) == whole
    assert tokenize(chatml, chat, prompt).trained_tokens == 0


def test_the_prompt_asks_for_the_next_turn(chatml: Any):
    chat = example("Who?", "Me.", "Who?")
    assert render_prompt(chatml, chat.messages) == (
        "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nMe.<|im_end|>\n"
        "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    "spans, offsets, mask",
    [
        ([(2, 4)], [(0, 2), (2, 3), (3, 5), (5, 6)], [False, True, True, False]),
        ([(2, 4)], [(0, 3), (3, 4), (4, 5)], [False, True, False]),
        ([(0, 1), (2, 3)], [(0, 1), (1, 2), (2, 3)], [True, False, True]),
        ([], [(0, 1)], [False]),
    ],
)
def test_a_token_counts_where_it_starts(spans: list, offsets: list, mask: list[bool]):
    assert assistant_mask(spans, offsets) == mask


@pytest.mark.parametrize("spans, offsets", [([(1, 3)], [(0, 4)]), ([(2, 2)], [(2, 3)])])
def test_a_turn_without_a_token(spans: list, offsets: list):
    with pytest.raises(TemplateError, match="an assistant's turn has no token"):
        assistant_mask(spans, offsets)
