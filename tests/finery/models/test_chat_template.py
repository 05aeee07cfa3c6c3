"""Templates in the ways of the field: where they are kept, and the token that ends a turn."""

import json
import shutil
from pathlib import Path

import pytest

from finery.models.chat_template import ChatTemplateError, chat_template
from finery.models.end_of_turn import end_of_turn
from finery.models.settings import ModelFileError

END_OF_TEXT, START, END = 0, 1, 2


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def ending(end: str) -> str:
    return "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}" + end + "\n{% endfor %}"


def use(model: Path, template: str) -> Path:
    (model / "chat_template.jinja").write_text(template)
    return model


def edit(file: Path, **settings: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def add_token(model: Path, content: str, *, special: bool) -> int:
    """A token that is never split, in tokenizer.json; returns its id."""
    from tokenizers import AddedToken, Tokenizer

    file = str(model / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    tokenizer.add_tokens([AddedToken(content, special=special)])
    tokenizer.save(file)
    return tokenizer.token_to_id(content)


def test_the_template_of_an_older_tokenizer_config(model: Path) -> None:
    (model / "chat_template.jinja").unlink()
    several = [{"name": "tool", "template": "T"}, {"name": "default", "template": "D"}]
    for value, expected in (("S", "S"), (several, "D")):
        edit(model / "tokenizer_config.json", chat_template=value)
        assert chat_template(model) == expected


def test_a_file_goes_before_an_embedded_template(model: Path) -> None:
    edit(model / "tokenizer_config.json", chat_template="embedded")
    assert chat_template(use(model, "file")) == "file"


def test_no_template_says_where_to_get_one(model: Path) -> None:
    (model / "chat_template.jinja").unlink()
    with pytest.raises(ChatTemplateError, match=r"model\.chat_template.*templates/chatml\.jinja"):
        chat_template(model)


def test_a_damaged_tokenizer_config_is_named(model: Path) -> None:
    (model / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelFileError, match=r"^tokenizer_config\.json: not JSON"):
        end_of_turn(model)


@pytest.mark.parametrize(
    "template, expected",
    [
        (ending("<|im_end|>"), END),
        (ending(" {{ eos_token }}"), END),
        (ending("{{ pad_token }}"), END_OF_TEXT),
        (ending("<|im_end|><|endoftext|>"), END),
        (ending("\n### <|im_end|>"), END),
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
def test_the_end_of_a_turn(model: Path, template: str, expected: int | None) -> None:
    assert end_of_turn(use(model, template)) == expected


def test_a_token_that_only_is_never_split_ends_no_turn(model: Path) -> None:
    add_token(model, "</say>", special=False)
    assert end_of_turn(use(model, ending("</say><|im_end|>"))) == END


def test_a_token_is_special_by_its_name(model: Path) -> None:
    number = add_token(model, "</say>", special=False)
    edit(model / "tokenizer_config.json", eos_token={"content": "</say>"})
    assert end_of_turn(use(model, ending("{{ eos_token }}<|im_end|>"))) == number


def test_of_two_tokens_that_start_alike_the_longer_is_meant(model: Path) -> None:
    add_token(model, "<|end", special=True)
    number = add_token(model, "<|end|>", special=True)
    assert end_of_turn(use(model, ending("<|end|>"))) == number


def test_a_model_without_tokenizer_json_lists_its_tokens_in_the_config(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    tokens = {"7": {"content": "<|im_end|>", "special": True}}
    edit(model / "tokenizer_config.json", added_tokens_decoder=tokens)
    assert end_of_turn(use(model, ending("<|im_end|>"))) == 7


def test_the_answer_agrees_with_transformers(model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    ids = tokenizer.apply_chat_template(chat, return_dict=False)
    special = [token for token in ids if token in tokenizer.all_special_ids]
    assert end_of_turn(model) == special[-1] == END


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}\n{{ m.content }", "chat template, line 2: "),
        ("{% for m in messages %}", "chat template, line 1: "),
        ("{{ raise_exception('tools only') }}", "cannot render .*tools only"),
        ("{{ ''.__class__.__mro__ }}", "cannot render .*unsafe"),
        ("{{ messages[0].content }}", "leaves out what the assistant says"),
    ],
)
def test_a_bad_template_is_one_line(model: Path, template: str, said: str) -> None:
    with pytest.raises(ChatTemplateError, match=said) as caught:
        end_of_turn(use(model, template))
    assert "\n" not in str(caught.value)
