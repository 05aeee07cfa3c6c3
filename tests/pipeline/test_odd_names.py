"""Folders and files of any name reach the stages whole, through DVC and the shell."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from finery.params.schema import load
from finery.stage.run import _arguments
from stages.prepare import prepare
from stages.prepare_test import prepare_test

from .project import Project

ROOT = Path(__file__).resolve().parents[2]
NewProject = Callable[[str], Project]


def test_prepare_runs_on_odd_names(new_project: NewProject) -> None:
    project = new_project("odd-names")
    odd = {
        "data.dataset_dir": ("data/raw", "-my data/it's 数据 (2); #1 & more"),
        "model.source": ("tiny", "models/my 'tiny' model; v1 & more"),
        "model.chat_template": ("templates/chatml.jinja", "templates/my 'chatml' & ü.jinja"),
    }
    for key, (old, new) in odd.items():
        (project.folder / new).parent.mkdir(exist_ok=True)
        (project.folder / old).rename(project.folder / new)
        project.set(key, f"path:{new}" if key == "model.source" else new)
    outcome = project.repro("prepare@sft", "prepare_test")
    expected = {"download", "prepare@sft", "prepare_test"}
    assert (outcome.status, outcome.ran) == (0, expected), outcome.output
    for file in ("sft/train/train.parquet", "test/test.parquet"):
        assert (project.folder / "data/prepared" / file).stat().st_size > 0
    assert "my 'chatml' & ü.jinja" in project.read("models/base/lineage.json")


@pytest.mark.parametrize("of", [prepare, prepare_test])
@pytest.mark.parametrize(
    "name",
    [
        "my data",
        "it's",
        "-n",
        "--base",
        "数据",
        "a*b?",
        "a;b|c&d>e",
        "(x)",
        "!x",
        "#x",
        " x ",
        "{x}",
        "[x]",
    ],
)
def test_what_a_shell_hands_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, of: Callable[..., None]
) -> None:
    """The command of a stage, as DVC makes it and a shell reads it, but for what it starts."""
    project = Project(tmp_path, tmp_path / "dvc")
    for key, value in project.dvc_settings().items():
        monkeypatch.setenv(key, value)
    for file in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    project.set("data.dataset_dir", name)
    assert load(tmp_path / "params.yaml").data.dataset_dir == name
    Repo.init(str(tmp_path), no_scm=True).close()
    with chdir(tmp_path), Repo() as repo:
        stage = repo.stage.load_one(name={prepare: "prepare@sft", prepare_test: "prepare_test"}[of])
        assert name in [dep.def_path for dep in stage.deps]
    printed = stage.cmd.replace(f"python -m stages.{of.__name__}", "printf '%s\\0'")
    words = subprocess.run(printed, shell=True, capture_output=True, text=True).stdout
    assert _arguments(of, words.split("\0")[:-1])["datasets"] == Path(name)
