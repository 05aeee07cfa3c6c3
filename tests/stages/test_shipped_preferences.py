"""The shipped preferences, from their rows to a model that prefers the better answers."""

import csv
import json
from contextlib import chdir
from pathlib import Path

from finery import lineage
from finery.data.prepared import read_parquet
from finery.models.tokenizer import load_tokenizer
from finery.params.data import DataParams
from finery.params.merge import MergeParams
from stages.merge import merge
from stages.prepare import prepare
from stages.train import train
from tests.steps import step

RAW = Path(__file__).resolve().parents[2] / "data/raw"
NAME = "handbook_preferences"
TUNER = {"type": "lora", "rank": 2, "alpha": 4}


def test_they_are_learnt_by_dpo(tiny_model: Path, tmp_path: Path) -> None:
    rows = json.loads((RAW / f"{NAME}.json").read_text())
    data = DataParams(train=[NAME], test=["handbook_test"], cutoff_len=512, calibration_samples=4)
    folders = {name: tmp_path / name for name in ("train", "calibration", "adapter", "merged")}
    for folder in folders.values():
        folder.mkdir()
    with chdir(tmp_path):
        prepare(
            data, "dpo", RAW, tiny_model, train=folders["train"],
            calibration=folders["calibration"], metrics=tmp_path / "p.json",
            rejected=tmp_path / "rejected.jsonl", plot=tmp_path / "p.png",
        )  # fmt: skip
    splits = [read_parquet(folders["train"] / f"{n}.parquet") for n in ("train", "validation")]
    assert len(splits[0]) + len(splits[1]) == len(rows) == 60 and splits[1]
    assert not (tmp_path / "rejected.jsonl").read_text()

    tokenizer = load_tokenizer(tiny_model)

    def answered(row: dict[str, str], side: str) -> tuple[int, ...]:
        turns = [("user", row["instruction"]), ("assistant", row[side])]
        said = [{"role": role, "content": content} for role, content in turns]
        return tuple(tokenizer.apply_chat_template(said, return_dict=False))

    prepared = {
        (tuple(s["input_ids"]), tuple(s["rejected_input_ids"])) for s in splits[0] + splits[1]
    }
    assert prepared == {(answered(row, "chosen"), answered(row, "rejected")) for row in rows}

    params = step(
        method="dpo", tuner=TUNER, precision="fp32", beta=0.5, learning_rate=1e-2,
        num_train_epochs=3, eval_steps=10, per_device_batch_size=8, gradient_accumulation_steps=1,
        logging_steps=1,
    ).named("dpo")  # fmt: skip
    files = {name: tmp_path / f"t.{name}" for name in ("loss", "plot", "metrics")}
    train(
        params, "dpo", tiny_model, folders["train"], adapter=folders["adapter"],
        checkpoints=tmp_path / "checkpoints", **files,
    )  # fmt: skip
    table = list(csv.DictReader(files["loss"].open()))
    assert float(table[0]["rewards/margins"]) == 0  # the reference is where it starts
    last = [float(row["rewards/margins"]) for row in table[-8:]]
    assert sum(last) / len(last) > 0.1 and float(table[0]["loss"]) > float(table[-1]["loss"])
    merge(
        MergeParams(step="dpo"), "dpo", tiny_model, folders["adapter"], folders["calibration"],
        merged=folders["merged"], metrics=tmp_path / "m.json",
    )  # fmt: skip
    assert lineage.read(folders["merged"])["train@dpo"]["method"] == "dpo"


def test_their_questions_are_asked_nowhere_else() -> None:
    asked = [row["instruction"] for row in json.loads((RAW / f"{NAME}.json").read_text())]
    assert len(set(asked)) == 60
    known = set()
    for name in ("handbook", "handbook_test"):
        known |= {row["instruction"] for row in json.loads((RAW / f"{name}.json").read_text())}
    assert not known & set(asked)
