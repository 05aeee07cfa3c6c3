import json
from pathlib import Path

import pytest

from finery.sources.errors import SourceError
from finery.sources.generation import stop_at_end_of_turn
from finery.sources.template import chat_template, end_of_turn, override

MARKED = (
    "{% for m in messages %}"
    "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
    "{% endfor %}"
)


def test_the_embedded_template_is_found(model: Path) -> None:
    embedded = json.loads((model / "tokenizer_config.json").read_text())["chat_template"]
    assert chat_template(model) == embedded


def test_of_several_the_default_is_found(model: Path) -> None:
    several = [{"name": "tool", "template": "T"}, {"name": "default", "template": "D"}]
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": several}))
    assert chat_template(model) == "D"


def test_no_template_says_where_to_get_one(model: Path) -> None:
    (model / "tokenizer_config.json").write_text("{}")
    with pytest.raises(SourceError, match=r"model\.chat_template.*templates/chatml\.jinja"):
        chat_template(model)


def test_override_leaves_one_template_and_the_linked_original_alone(
    model: Path, tmp_path: Path
) -> None:
    original = tmp_path / "original.json"
    original.hardlink_to(model / "tokenizer_config.json")
    (model / "chat_template.json").write_text('{"chat_template": "another"}')
    mine = tmp_path / "mine.jinja"
    mine.write_text("{{ messages }}\n")
    override(model, mine)
    assert (model / "chat_template.jinja").read_text() == "{{ messages }}\n"
    assert not (model / "chat_template.json").exists()
    assert json.loads((model / "tokenizer_config.json").read_text()) == {
        "eos_token": "<|endoftext|>"
    }
    assert "chat_template" in json.loads(original.read_text())


def test_what_ends_a_turn() -> None:
    assert end_of_turn(MARKED, {}) == "<|im_end|>"


def test_special_tokens_can_be_asked_for() -> None:
    template = "{% for m in messages %}{{ m.content + eos_token }}\n{% endfor %}"
    assert end_of_turn(template, {"eos_token": "</s>"}) == "</s>"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}\n{{ m.content }", "chat template, line 2: "),
        ("{{ raise_exception('tools only') }}", "cannot render .*tools only"),
        ("{{ messages[0].content }}", "leaves out what the assistant says"),
    ],
)
def test_a_bad_template_is_one_line(template: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        end_of_turn(template, {})
    assert "\n" not in str(caught.value)


def test_the_end_of_a_turn_joins_the_stops(model: Path) -> None:
    stop_at_end_of_turn(model)
    generation = json.loads((model / "generation_config.json").read_text())
    assert generation == {"eos_token_id": [2, 0]}


def test_a_model_that_stops_already_is_left_alone(model: Path) -> None:
    text = '{"eos_token_id": [0, 2], "top_p": 0.9}'
    (model / "generation_config.json").write_text(text)
    stop_at_end_of_turn(model)
    assert (model / "generation_config.json").read_text() == text
