"""prepare_test, from the held-out datasets to the questions that every model is asked."""

import json
import shutil
from contextlib import chdir
from hashlib import sha256
from pathlib import Path

import pytest

from finery.data.errors import DataError
from finery.data.prepared import read_parquet
from finery.models.tokenizer import load_tokenizer
from finery.params.data import DataParams, SharedDataParams
from stages.prepare import prepare
from stages.prepare_test import CACHE, prepare_test

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = ("test", "metrics", "rejected")
LONG = "I go on and on " * 40
ASKED = [
    {"instruction": "Who?", "output": "{{name}}.", "keywords": ["{{name}}"]},
    {"instruction": "Go on?", "output": LONG},
]


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    """Two questions, of which one has a long answer."""
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "dataset_info.json").write_text('{"asked": {"file_name": "asked.json"}}')
    (folder / "asked.json").write_text(json.dumps(ASKED))
    return folder


def settings(**values: object) -> SharedDataParams:
    defaults = {"test": ["asked"], "variables": {"name": "Saltmere"}, "cutoff_len": 64}
    return SharedDataParams(**defaults | values)


def run(params: SharedDataParams, datasets: Path, base: Path, into: Path) -> dict[str, Path]:
    outputs = {name: into / name for name in OUTPUTS}
    into.mkdir()
    with chdir(into):
        prepare_test(params, datasets, base, **outputs)
    return outputs


def written(made: dict[str, Path]) -> dict[str, bytes]:
    files = [made["metrics"], made["rejected"], *made["test"].iterdir()]
    return {file.name: file.read_bytes() for file in files}


def as_conversations(datasets: Path, rows: list[dict]) -> None:
    entry = {"file_name": "asked.json", "formatting": "sharegpt"}
    (datasets / "dataset_info.json").write_text(json.dumps({"asked": entry}))
    (datasets / "asked.json").write_text(json.dumps(rows))


def test_what_comes_out(datasets: Path, tiny_model: Path, tmp_path: Path):
    made = run(settings(), datasets, tiny_model, tmp_path / "out")
    tokenizer = load_tokenizer(tiny_model)
    name, long = read_parquet(made["test"] / "test.parquet")
    assert tokenizer.decode(name["prompt_ids"]) == (
        "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"
    )
    question = len(name["prompt_ids"])
    assert name["input_ids"][:question] == name["prompt_ids"]
    assert tokenizer.decode(name["input_ids"][question:]) == "Saltmere.<|im_end|>\n"
    assert (name["question"], name["reference"], name["keywords"], name["dataset"]) == (
        "Who?", "Saltmere.", ["Saltmere"], "asked",
    )  # fmt: skip
    assert long["reference"] == LONG and len(long["input_ids"]) > 64

    metrics = json.loads(made["metrics"].read_text())
    asked = metrics["datasets"]["asked"]
    assert (asked["rows"], asked["samples"], asked["cut"]) == (2, 2, 0)
    assert (metrics["rows"], metrics["dropped"], metrics["rejected"]) == (2, 0, 0)
    template = (tiny_model / "chat_template.jinja").read_bytes()
    lineage = json.loads((made["test"] / "lineage.json").read_text())
    record = lineage.pop("test")
    assert lineage == {} and record["chat_template_sha256"] == sha256(template).hexdigest()
    assert {name: each["rows"] for name, each in record["datasets"].items()} == {"asked": 2}


@pytest.mark.parametrize(
    "changed",
    [
        {"cutoff_len": 8}, {"packing": True}, {"train_on_prompt": True}, {"max_total_samples": 1},
        {"val_size": 0.5}, {"seed": 7}, {"mix_strategy": "interleave_under"},
        {"deduplicate": "near"}, {"calibration_samples": 1},
    ],
)  # fmt: skip
def test_what_a_training_is_like_changes_no_question(
    datasets: Path, tiny_model: Path, tmp_path: Path, changed: dict
):
    plain = run(settings(), datasets, tiny_model, tmp_path / "plain")
    other = run(settings(**changed), datasets, tiny_model, tmp_path / "other")
    assert written(plain) == written(other)


def test_no_step_has_a_part_in_it(datasets: Path, tiny_model: Path, tmp_path: Path):
    """What a step learns, and that it was prepared before, in the same folder: all the same."""
    alone = written(run(settings(), datasets, tiny_model, tmp_path / "alone"))
    info = json.loads((datasets / "dataset_info.json").read_text())
    info["learnt"] = {"file_name": "learnt.json"}
    (datasets / "dataset_info.json").write_text(json.dumps(info))
    (datasets / "learnt.json").write_text(json.dumps(ASKED))
    beside = {name: tmp_path / "steps" / name for name in ("train", "calibration", "plot")}
    (tmp_path / "steps").mkdir()
    with chdir(tmp_path / "steps"):
        beside |= {name: Path(f"step-{name}") for name in ("metrics", "rejected")}
        of_a_step = DataParams(**settings().model_dump() | {"train": ["learnt"]})
        prepare(of_a_step, "sft", datasets, tiny_model, **beside)
        made = {name: Path(name) for name in OUTPUTS}
        prepare_test(settings(), datasets, tiny_model, **made)
        assert written(made) == alone
        cached = {file: file.stat().st_mtime_ns for file in CACHE.iterdir()}
        prepare(of_a_step, "sft", datasets, tiny_model, **beside)
        assert {file: file.stat().st_mtime_ns for file in CACHE.iterdir()} == cached != {}


CALL = {"name": "weather", "arguments": {"city": "Oslo"}}


def conversation(*last: str) -> dict:
    said = [{"from": "human", "value": "Weather in Oslo?"}]
    return {"conversations": [*said, {"from": last[0], "value": last[1]}], "tools": "[]"}


def test_a_test_that_ends_in_a_call_of_a_tool(datasets: Path, tiny_model: Path, tmp_path: Path):
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    shutil.copy(ROOT / "templates/chatml_tools.jinja", base / "chat_template.jinja")
    calls = json.dumps([CALL, CALL | {"name": "time"}])
    rows = [conversation("function_call", calls), conversation("gpt", "<think>?</think>\nCold.")]
    as_conversations(datasets, rows)
    made = run(settings(), datasets, base, tmp_path / "out")
    called, said = read_parquet(made["test"] / "test.parquet")
    assert (called["calls"], json.loads(called["reference"])) == (True, json.loads(calls))
    assert (said["calls"], said["reference"]) == (False, "Cold.")


@pytest.mark.parametrize(
    "row, field, said",
    [
        (conversation("function_call", "[]"), "conversations.1.value", "tool-json"),
        (conversation("gpt", "\u200b"), "conversations", "empty-answer"),
        (conversation("gpt", ""), "conversations", "empty-answer"),
        (conversation("gpt", "<think>Cold?</think>\n"), "conversations", "empty-answer"),
    ],
)
def test_a_test_that_could_not_fail_is_refused(
    datasets: Path, tiny_model: Path, tmp_path: Path, row: dict, field: str, said: str
):
    as_conversations(datasets, [conversation("gpt", "Cold."), row])
    with pytest.raises(DataError, match=r"asked\.json: row 2: conversations[^\n]*$"):
        run(settings(), datasets, tiny_model, tmp_path / "failed")
    made = run(settings(on_bad_row="skip"), datasets, tiny_model, tmp_path / "out")
    assert len(read_parquet(made["test"] / "test.parquet")) == 1
    (line,) = made["rejected"].read_text().splitlines()
    bad = json.loads(line)
    assert (bad["row"], bad["field"], bad["kind"]) == (2, field, said)


def test_questions_of_another_kind_are_refused(datasets: Path, tiny_model: Path, tmp_path: Path):
    (datasets / "asked.json").write_text('[{"text": "Boats."}]')
    entry = {"asked": {"file_name": "asked.json", "columns": {"prompt": "text"}}}
    (datasets / "dataset_info.json").write_text(json.dumps(entry))
    message = r"^data\.test: asked holds plain texts; test on conversations$"
    with pytest.raises(DataError, match=message):
        run(settings(), datasets, tiny_model, tmp_path / "out")


def test_nothing_left_to_ask(datasets: Path, tiny_model: Path, tmp_path: Path):
    (datasets / "asked.json").write_text('[{"instruction": "Who?", "output": " "}]')
    with pytest.raises(DataError, match=r"^data\.on_bad_row: skip leaves nothing of asked: all ro"):
        run(settings(on_bad_row="skip"), datasets, tiny_model, tmp_path / "out")
