import json
from pathlib import Path

import pytest

from finery.sources.errors import SourceError
from finery.sources.generation import stop_at_end_of_turn
from finery.sources.template import override

END_OF_TEXT, END = 0, 2
SILENT = "{% for m in messages %}{{ m.content }}{% endfor %}"


def generation(model: Path) -> dict:
    return json.loads((model / "generation_config.json").read_text())


def write_generation(model: Path, **settings: object) -> str:
    text = json.dumps(settings)
    (model / "generation_config.json").write_text(text)
    return text


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


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (END_OF_TEXT, [END, END_OF_TEXT]),
        ([END_OF_TEXT], [END, END_OF_TEXT]),
        (None, [END, END_OF_TEXT]),  # what config.json says
    ],
)
def test_the_end_of_a_turn_joins_the_stops(
    model: Path, known: int | list[int] | None, expected: list[int]
) -> None:
    write_generation(model, eos_token_id=known, do_sample=True, top_p=0.9)
    stop_at_end_of_turn(model)
    assert generation(model) == {"eos_token_id": expected, "do_sample": True, "top_p": 0.9}


def test_without_a_file_the_tokens_come_from_the_config(model: Path) -> None:
    stop_at_end_of_turn(model)
    assert generation(model) == {"bos_token_id": 1, "eos_token_id": [END, END_OF_TEXT]}


@pytest.mark.parametrize("known", [END, [END], [END_OF_TEXT, END]])
def test_a_model_that_stops_already_is_left_alone(model: Path, known: int | list[int]) -> None:
    text = write_generation(model, eos_token_id=known, top_p=0.9)
    stop_at_end_of_turn(model)
    assert (model / "generation_config.json").read_text() == text


def test_a_stop_that_only_the_config_knows_is_written_down(model: Path) -> None:
    """A generation_config.json without it hides it from transformers and vLLM."""
    (model / "chat_template.jinja").write_text(SILENT)
    write_generation(model, top_p=0.9)
    stop_at_end_of_turn(model)
    assert generation(model) == {"eos_token_id": END_OF_TEXT, "top_p": 0.9}


def test_behind_an_answer_left_open_the_end_of_sequence_stops(model: Path) -> None:
    """It is what prepare puts there to be learnt."""
    (model / "chat_template.jinja").write_text(SILENT)
    write_generation(model, eos_token_id=END)
    stop_at_end_of_turn(model)
    assert generation(model) == {"eos_token_id": [END_OF_TEXT, END]}


def test_a_model_that_nothing_stops_is_refused(model: Path) -> None:
    (model / "chat_template.jinja").write_text(SILENT)
    (model / "config.json").write_text('{"model_type": "llama"}')
    (model / "tokenizer_config.json").write_text("{}")
    with pytest.raises(SourceError, match="neither the chat template nor"):
        stop_at_end_of_turn(model)
