"""A template whose end of turn is no token is refused, and no other is."""

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from finery.check.template import template_problems
from finery.models.tokens import Tokens, read_tokens

from .conftest import CHATML, ROOT, SPECIAL, change, make, problems

PLAIN = ("</s>",)
TURN = "{% for m in messages %}{{ m.role }}: {{ m.content }}END\n{% endfor %}"
PLAIN_ADVICE = (
    "set model.chat_template to a template that ends a turn with the model's own </s>, for"
    " instance templates/plain.jinja"
)


THINKS = CHATML + "{{ 'x' if enable_thinking is defined and not enable_thinking }}"


def test_a_keyword_that_the_chat_template_does_not_know(project: Path):
    make(project / "tiny", template=THINKS)
    change(**{"data.chat_template_kwargs": {"enable_thinking": False}})
    assert problems() == []
    change(**{"data.chat_template_kwargs": {"enable_thinkng": False, "messages": []}})
    assert problems() == [
        "data.chat_template_kwargs.enable_thinkng: the chat template knows no such keyword; did you"
        " mean enable_thinking?",
        "data.chat_template_kwargs.messages: every chat template is given that; remove it",
    ]
    change(**{"model.chat_template": "templates/chatml.jinja"})
    assert problems()[0].endswith("the chat template takes no keywords; remove it")


def test_a_keyword_of_a_template_of_ones_own_needs_no_model(project: Path):
    (project / "templates/own.jinja").write_text(THINKS)
    change(**{"model.chat_template": "templates/own.jinja"})
    change(**{"data.chat_template_kwargs": {"thinking": False}})
    (problem,) = problems()
    assert problem.endswith("did you mean enable_thinking?")


def know_all_bytes(folder: Path, special: tuple[str, ...]) -> Tokens:
    """Give the tokenizer of a folder a token for every byte."""
    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    core = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(word, special=True) for word in special])
    core.save(str(folder / "tokenizer.json"))
    return read_tokens(folder)


def ending(end: str) -> str:
    return TURN.replace("END", end)


def test_ten_ordinary_tokens_end_no_turn(project: Path):
    make(project / "tiny", special=PLAIN)
    assert problems() == [
        "model: tiny: chat template: ends a turn with <|im_end|> (and writes <|im_start|>), no"
        " token of this tokenizer but ordinary text, so the model would never learn to stop;"
        f" {PLAIN_ADVICE}"
    ]


def test_the_advice_does_not_lead_into_it(project: Path):
    make(project / "tiny", special=PLAIN, template=None)
    (found,) = problems()
    assert found == (
        "model: tiny: the model has no chat template in chat_template.jinja or"
        f" tokenizer_config.json; {PLAIN_ADVICE}"
    )
    change(**{"model.chat_template": "templates/plain.jinja"})
    assert problems() == []
    for name in ("chatml", "chatml_tools"):
        change(**{"model.chat_template": f"templates/{name}.jinja"})
        assert "ends a turn with <|im_end|>" in problems()[0]


def test_chatml_is_the_advice_where_its_words_are_tokens(project: Path):
    make(project / "tiny", template=None)
    assert problems()[0].endswith("for instance to templates/chatml.jinja")
    for name in ("chatml", "chatml_tools", "plain"):
        change(**{"model.chat_template": f"templates/{name}.jinja"})
        assert problems() == []


@pytest.mark.parametrize(
    "end",
    [
        "</s>",
        "{{ eos_token }}",
        "<|end|></s>",
        "\n\n### </s>",
        "",  # prepare ends the sample with the eos_token
    ],
)
def test_ends_of_turn_that_are_tokens(project: Path, end: str):
    make(project / "tiny", special=PLAIN, template=ending(end))
    assert problems() == []


@pytest.mark.parametrize(
    "template",
    [
        # Zephyr's roles are no tokens of its tokenizer; Llama 2's, Mistral's and Alpaca's neither.
        "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token }}{% endfor %}",
        "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
        "{% else %}{{ m.content }}</s>{% endif %}{% endfor %}",
        "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n{% if m.role != 'user' %}"
        "{{ eos_token }}{% endif %}{% endfor %}",
        # GLM-4 leaves its turns open.
        "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}{% endfor %}",
    ],
)
def test_roles_may_be_any_text(project: Path, template: str):
    make(project / "tiny", special=PLAIN, template=template)
    assert problems() == []


@pytest.mark.parametrize(
    ("end", "named"),
    [
        ("<end_of_turn>", "<end_of_turn>"),
        ("<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("[/ANSWER]", "[/ANSWER]"),
        (" Over.", "'Over.'"),
        ("</s", "'</s'"),
    ],
)
def test_ends_of_turn_that_are_text(project: Path, end: str, named: str):
    make(project / "tiny", special=PLAIN, template=ending(end))
    assert [f"ends a turn with {named}, no token of" in found for found in problems()] == [True]


def test_a_word_of_the_vocabulary_is_a_token_only_if_it_is_never_split(project: Path):
    folder = make(project / "tiny")
    file = folder / "tokenizer.json"
    saved = json.loads(file.read_text())
    saved["added_tokens"] = [t for t in saved["added_tokens"] if t["content"] != "<|im_end|>"]
    file.write_text(json.dumps(saved))
    assert "ends a turn with <|im_end|>, no token" in problems()[0]


def test_a_token_need_not_be_special(project: Path):
    folder = make(project / "tiny")
    file = folder / "tokenizer.json"
    saved = json.loads(file.read_text())
    saved["added_tokens"][-1]["special"] = False
    file.write_text(json.dumps(saved))
    assert problems() == []


def test_nothing_to_end_a_turn_with(project: Path):
    make(project / "tiny", special=PLAIN, template=ending(""), eos_token=None)
    assert problems() == [
        "model: tiny: chat template: nothing ends a turn, and there is no eos_token; name an"
        " eos_token in tokenizer_config.json, or choose a model that has one"
    ]


def test_a_template_that_fails_is_one_line(project: Path):
    make(project / "tiny", template="{% for m in messages %}")
    (found,) = problems()
    assert found.startswith("model: tiny: chat template, line 1: ")
    make(project / "tiny", template="{{ messages[0].content }}")
    assert "leaves out what the assistant says" in problems()[0]


def test_the_labels_hold_an_end_if_and_only_if_there_is_no_problem(tmp_path: Path):
    """What prepare would train on, by the real tokenizer and renderer."""
    from finery.data.formats.examples import Example
    from finery.data.rendering.chat import Renderer
    from finery.models.tokenizer import load_tokenizer

    messages = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})
    plain = (ROOT / "templates/plain.jinja").read_text()
    templates = [CHATML, plain, *map(ending, ("</s>", "", "<|end|>", "Over.", " </s> \n"))]
    for special in (PLAIN, (*PLAIN, *SPECIAL)):
        for number, template in enumerate(templates):
            folder = make(tmp_path / f"{len(special)}-{number}", special=special, template=template)
            tokens = know_all_bytes(folder, special)
            (sample,) = Renderer(load_tokenizer(folder)).encode([Example("d", 1, messages)])
            learns = bool({*sample.labels.tolist()} & {*tokens.special.values()})
            assert learns is (template_problems(template, tokens) == []), (special, template)
