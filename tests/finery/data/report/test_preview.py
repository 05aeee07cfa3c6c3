"""finery data preview: samples as the model will see them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finery.cli import app
from finery.data.prepared import write_parquet
from finery.data.report.preview import first
from finery.models.tokenizer import load_tokenizer

SETTINGS = """
model: {source: path:base}
data: {test: [asked], dataset_dir: raw, cutoff_len: 40}
starts: {}
train:
  sft:
    after: base
    method: sft
    data: [chats, ranked, judged, texts]
    tuner: {type: lora}
merge: {step: sft}
quantize: {formats: []}
report: {}
evaluate: {}
gate: {}
package: {name: tiny, license: mit}
"""
PROMPT = "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(SETTINGS)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/base").symlink_to(tiny_model)
    who = {"instruction": "Who?"}
    chosen, rejected = ({"from": "gpt", "value": words} for words in ("Me.", "You."))
    asked = [{"from": "human", "value": "Who?"}]
    answered = [*asked, chosen]
    datasets: dict[str, tuple[list[Any], dict[str, Any]]] = {
        "chats": ([
            who | {"output": "\x1b[31mMe."}, who | {"output": ""}, who | {"output": "Me. " * 40},
            {"instruction": "Who? " * 40, "output": "Me."}, who | {"output": "<|im_end|>"},
        ], {}),
        "ranked": (
            [{"conversations": asked, "chosen": chosen, "rejected": rejected}],
            {"formatting": "sharegpt", "ranking": True,
             "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}},
        ),
        "judged": (
            [{"messages": answered, "label": False}],
            {"formatting": "sharegpt", "columns": {"messages": "messages", "kto_tag": "label"}},
        ),
        "texts": ([{"text": "Boats. " * 30}], {"columns": {"prompt": "text"}}),
    }  # fmt: skip
    (tmp_path / "raw").mkdir()
    for name, (rows, _) in datasets.items():
        (tmp_path / f"raw/{name}.json").write_text(json.dumps(rows))
    info = {name: {"file_name": f"{name}.json"} | entry for name, (_, entry) in datasets.items()}
    (tmp_path / "raw/dataset_info.json").write_text(json.dumps(info))
    return tmp_path


def preview(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["data", "preview", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["data", "preview", *arguments])
    assert result.exit_code == 2 and result.output.count("\n") == 1
    return result.output.strip()


def test_what_is_trained_on_is_marked(project: Path):
    title, shown = preview("chats", "--count", "1").split("\n", 1)
    assert re.fullmatch(r"chats, row 1: \d+ tokens, (\d+) of them trained on", title)
    assert shown == f"{PROMPT}«␛[31mMe.<|im_end|>»\n\n"


def test_rows_that_become_no_sample_say_why(project: Path):
    assert preview("chats", "--row", "2").startswith("chats, row 2: cannot be used: output: ")
    cut = preview("chats", "--row", "3")
    assert "; cut to data.cutoff_len\n" in cut and "«Me. Me. " in cut and cut.endswith("»\n")
    assert preview("chats", "--row", "4") == (
        "chats, row 4: left out: data.cutoff_len leaves no answer to train on\n\n"
    )
    assert preview("chats", "--row", "5").startswith(
        "chats, row 5: cannot be used: assistant: contains the control token <|im_end|>"
    )


def test_the_settings_are_those_of_the_first_step_that_learns_from_it(project: Path):
    """Its own as well, by their names; a dataset that no step learns from has those of data."""
    step = """
  short:
    after: sft
    method: sft
    data: {train: [brief], cutoff_len: 16}
    tuner: {type: lora}
"""
    settings = SETTINGS.replace(
        "merge: {step: sft}", f"{step.strip(chr(10))}\nmerge: {{step: short}}"
    )
    (project / "params.yaml").write_text(settings)
    info = json.loads((project / "raw/dataset_info.json").read_text())
    info |= {name: {"file_name": "chats.json"} for name in ("brief", "asked")}
    (project / "raw/dataset_info.json").write_text(json.dumps(info))
    lengths = {}
    for name, key in (
        ("chats", "data.cutoff_len"),
        ("brief", "train.short.data.cutoff_len"),
        ("asked", "data.cutoff_len"),
    ):
        title = preview(name, "--row", "3").splitlines()[0]
        assert title.endswith(f"; cut to {key}")
        lengths[name] = int(title.split(": ")[1].split()[0])
    assert lengths == {"chats": 40, "brief": 16, "asked": 40}


def test_what_is_not_read_is_in_the_title(project: Path):
    said = [
        {"from": "human", "value": "Who?"}, {"from": "gpt", "value": "You.", "weight": 0, "id": 3},
        {"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Me."},
    ]  # fmt: skip
    info = json.loads((project / "raw/dataset_info.json").read_text())
    info["chats"]["formatting"] = "sharegpt"
    (project / "raw/dataset_info.json").write_text(json.dumps(info))
    (project / "raw/chats.json").write_text(json.dumps([{"conversations": said, "source": "web"}]))
    output = preview("chats")
    assert output.startswith("chats, row 1 (not read: source, conversations.id): ")
    assert f"{PROMPT}You.<|im_end|>\n{PROMPT}«Me.<|im_end|>»" in output


def test_each_kind_shows_all_it_has(project: Path):
    ranked = preview("ranked")
    assert "ranked, row 1, chosen: " in ranked and "ranked, row 1, rejected: " in ranked
    assert f"{PROMPT}«Me.<|im_end|>»" in ranked and f"{PROMPT}«You.<|im_end|>»" in ranked
    assert "judged, row 1, not desirable: " in preview("judged")


def test_what_cannot_be_shown_is_one_line(project: Path):
    assert refused("chats", "--row", "6") == "chats: has no row 6"
    assert refused("chat").startswith("raw/dataset_info.json: no dataset 'chat'; did you mean")
    (project / "models/base").unlink()
    assert refused("chats") == "models/base: no base model here yet; `dvc repro download` makes it"


def test_the_first_sample_of_a_prepared_file(tmp_path: Path, tiny_model: Path):
    tokenizer = load_tokenizer(tiny_model)
    ids = tokenizer("Who? Me!", add_special_tokens=False)["input_ids"]
    rows = [{"dataset": "d", "input_ids": ids, "labels": [-100, -100, *ids[2:]]}]
    write_parquet(tmp_path / "d.parquet", "samples", rows)
    before, after = tokenizer.decode(ids[:2]), tokenizer.decode(ids[2:])
    assert first(tokenizer, tmp_path / "d.parquet") == f"{before}«{after}»"
