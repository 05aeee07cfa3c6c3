"""`finery data check` and `finery data update`, as users run them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
GOOD = {"instruction": "Who?", "output": "{{name}}."}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with its own settings, and a dataset for each name in them."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    names = ("identity", "handbook", "identity_test", "handbook_test", "other")
    for name in names:
        write(tmp_path, name, [GOOD] * 2)
    info = {name: {"file_name": f"{name}.json"} for name in names}
    write(tmp_path, "dataset_info", info)
    return tmp_path


def write(project: Path, name: str, content: Any) -> None:
    file = project / f"data/raw/{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def data(project: Path, *arguments: str) -> tuple[int, list[str], list[str]]:
    """The exit status of `finery data ...`, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "finery.cli", "data", *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_all_datasets_of_the_settings_are_good(project: Path) -> None:
    names = ("identity", "handbook", "identity_test", "handbook_test")
    said = [f"{name}: 2 rows, chat: all good" for name in names]
    assert data(project, "check") == (0, said, [])


def test_a_test_must_have_something_to_compare_with(project: Path) -> None:
    unseen = GOOD | {"output": "\u200b"}
    write(project, "identity", [unseen])
    write(project, "identity_test", [GOOD, unseen])
    assert data(project, "check", "identity", "identity_test") == (
        2,
        ["identity: 1 rows, chat: all good"],
        [
            "data/raw/identity_test.json: row 2: output: the last answer says nothing that one"
            " could be compared with; remove the row"
        ],
    )


def test_every_dataset_is_looked_at(project: Path) -> None:
    wrong = [GOOD | {"output": ""}, *[3] * 30, GOOD]
    write(project, "other", wrong)
    write(project, "identity", [GOOD, GOOD | {"output": "{{nmae}}"}])
    (project / "data/raw/handbook.json").write_text('[{"instruction": "a"}, {"instr')
    status, said, problems = data(
        project, "check", "identity", "handbook", "other", "handbook_test"
    )
    assert (status, said) == (2, ["handbook_test: 2 rows, chat: all good"])
    assert problems[:3] == [
        "data/raw/identity.json: row 2: output: {{nmae}} has no value; set data.variables.nmae, or"
        " data.variables to null if such words are to stay",
        "data/raw/handbook.json: row 1: output: missing column; the row has instruction",
        "data/raw/handbook.json:1: cut off in or after row 2; get the whole file",
    ]
    assert problems[3] == (
        "data/raw/other.json: row 1: output: is empty; fill it or remove the row"
    )
    assert problems[22] == "data/raw/other.json: row 20: must be an object, not a number"
    assert problems[23:] == ["31 bad rows, the first 20 shown: 30 not-an-object, 1 empty-answer"]


def test_a_name_that_is_not_there(project: Path) -> None:
    problem = "data/raw/dataset_info.json: no dataset 'othr'; did you mean 'other'?"
    assert data(project, "check", "othr") == (2, [], [problem])


def test_nothing_to_update(project: Path) -> None:
    assert data(project, "update") == (0, ["nothing new"], [])
    assert not (project / "data/raw/revisions.json").exists()
