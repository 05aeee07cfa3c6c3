"""A dataset that a method cannot learn from is refused before anything runs."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from finery.params.schema import load
from finery.preflight.kinds import wrong_kinds

ROOT = Path(__file__).resolve().parents[3]
INFO = {
    "talk": {"file_name": "talk.json"},
    "book": {"file_name": "book.txt", "columns": {"prompt": "text"}},
    "choices": {"file_name": "c.json", "ranking": True,
                "columns": {"prompt": "q", "chosen": "a", "rejected": "b"}},
    "verdicts": {"file_name": "v.json",
                 "columns": {"prompt": "q", "response": "a", "kto_tag": "good"}},
}  # fmt: skip
STEP = {"after": "base", "tuner": {"type": "lora"}}


@pytest.mark.parametrize(
    "method, data, said",
    [
        ("sft", ["talk"], None),
        ("sft", ["elsewhere"], None),  # prepare says that there is no such dataset
        ("sft", ["talk", "choices"],
         "train.one.data.train: choices holds preferences (ranking), and sft learns from"
         " conversations or plain texts; name another dataset, or another train.one.method"),
        ("sft", {"train": ["talk"], "eval_dataset": ["verdicts"]},
         "train.one.data.eval_dataset: verdicts holds single verdicts (kto_tag), and sft learns"
         " from conversations or plain texts; name another dataset, or another train.one.method"),
        ("pretrain", ["talk"],
         "train.one.data.train: talk holds conversations, and pretrain learns from plain texts;"
         " name another dataset, or another train.one.method"),
    ],
)  # fmt: skip
def test_kinds(
    method: str, data: object, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/dataset_info.json").write_text(json.dumps(INFO))
    settings = YAML(typ="safe").load(ROOT / "params.yaml")
    settings["train"] = {"one": STEP | {"method": method, "data": data}}
    settings["merge"]["step"] = "one"
    YAML().dump(settings, Path("params.yaml"))
    assert list(wrong_kinds(load(Path("params.yaml")))) == ([said] if said else [])
