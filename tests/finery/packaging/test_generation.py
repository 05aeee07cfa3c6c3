"""Stop tokens: what the model knew, and what ends a turn."""

import json
from pathlib import Path

import pytest

from finery.packaging.errors import PackageError
from finery.packaging.generation import generation_config

END_OF_TEXT, END = 0, 2


def configure(model: Path, name: str, **settings: object) -> None:
    file = model / name
    kept = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(kept | settings))


@pytest.mark.parametrize(
    "known, expected",
    [
        (END, END),
        (END_OF_TEXT, [END_OF_TEXT, END]),
        ([END_OF_TEXT], [END_OF_TEXT, END]),
        ([END, END_OF_TEXT], [END, END_OF_TEXT]),
    ],
)
def test_the_end_of_a_turn_is_appended_where_it_lacks(model: Path, known, expected):
    configure(model, "generation_config.json", eos_token_id=known)
    assert generation_config(model)["eos_token_id"] == expected


def test_sampling_is_kept(model: Path):
    sampling = {"do_sample": True, "temperature": 0.6, "top_p": 0.95}
    configure(model, "generation_config.json", eos_token_id=END_OF_TEXT, **sampling)
    assert generation_config(model).items() >= sampling.items()


def test_without_a_file_the_tokens_come_from_the_config(model: Path):
    (model / "generation_config.json").unlink()
    configure(model, "config.json", eos_token_id=END_OF_TEXT)
    assert generation_config(model) == {
        "bos_token_id": 1,
        "eos_token_id": [END_OF_TEXT, END],
        "pad_token_id": 0,
    }


def test_a_null_stop_falls_back_to_the_config(model: Path):
    configure(model, "generation_config.json", eos_token_id=None)
    configure(model, "config.json", eos_token_id=END_OF_TEXT)
    assert generation_config(model)["eos_token_id"] == [END_OF_TEXT, END]


def test_a_model_that_nothing_stops_is_refused(model: Path):
    (model / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    for name in ("generation_config.json", "config.json"):
        configure(model, name, eos_token_id=None)
    with pytest.raises(PackageError, match="neither the chat template nor"):
        generation_config(model)
