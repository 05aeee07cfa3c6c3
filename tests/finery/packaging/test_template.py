"""The token that ends an assistant's turn, for templates in the ways of the field."""

import json
from pathlib import Path

import pytest

from finery.packaging.errors import PackageError
from finery.packaging.template import chat_template, turn_end

END_OF_TEXT, START, END = 0, 1, 2


def ending(end: str) -> str:
    return "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}" + end + "\n{% endfor %}"


def use(model: Path, template: str) -> Path:
    (model / "chat_template.jinja").write_text(template)
    return model


@pytest.mark.parametrize(
    "template, expected",
    [
        (ending("<|im_end|>"), END),
        (ending(" {{ eos_token }}"), END),
        (ending("{{ pad_token }}"), END_OF_TEXT),
        (ending("<|im_end|><|endoftext|>"), END),
        (ending(""), None),
        (
            "{% for m in messages %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
            "{% endfor %}",
            END,
        ),
        ("{% for m in messages %}{% if loop.index0 > 1 %}{% break %}{% endif %}"
         "{{ m.content | trim }}{{ '<|im_end|>' }}{% endfor %}", END),
        ("{{ strftime_now('%d %b %Y') }}{{ messages | tojson }}"
         "{% if tools is not none %}{{ raise_exception('no') }}{% endif %}"
         "{{ messages[1].content }}<|im_end|>", END),
    ],
)  # fmt: skip
def test_the_end_of_a_turn(model: Path, template: str, expected: int | None):
    assert turn_end(use(model, template)) == expected


def test_a_token_that_only_is_never_split_ends_no_turn(model: Path):
    from tokenizers import AddedToken, Tokenizer

    file = str(model / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    tokenizer.add_tokens([AddedToken("</say>", special=False)])
    tokenizer.save(file)
    assert turn_end(use(model, ending("</say><|im_end|>"))) == END


def test_the_answer_agrees_with_transformers(model: Path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    ids = tokenizer.apply_chat_template(chat, return_dict=False)
    special = [token for token in ids if token in tokenizer.all_special_ids]
    assert turn_end(model) == special[-1] == END


@pytest.mark.parametrize(
    "template, message",
    [
        ("{{ raise_exception('only tools') }}", "refuses a plain chat: only tools"),
        ("{% for m in messages %}", "refuses a plain chat"),
        ("{{ messages[0].content }}", "leaves out the assistant's words"),
        ("{{ ''.__class__.__mro__ }}", "refuses a plain chat"),
    ],
)
def test_templates_that_do_not_work_are_named(model: Path, template: str, message: str):
    with pytest.raises(PackageError, match=message):
        turn_end(use(model, template))


def test_the_template_of_an_older_tokenizer_config(model: Path):
    (model / "chat_template.jinja").unlink()
    config = model / "tokenizer_config.json"
    settings = json.loads(config.read_text())
    templates = [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]
    for value, expected in (("s", "s"), (templates, "d")):
        config.write_text(json.dumps(settings | {"chat_template": value}))
        assert chat_template(model) == expected
    config.write_text(json.dumps(settings))
    with pytest.raises(PackageError, match="no chat template; name one in"):
        chat_template(model)
