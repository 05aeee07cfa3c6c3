"""Checkpoints live until their stage's result is in dvc.lock, and no longer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from finery.stage.resume import checkpoint_folder, forget_committed, keep_until_committed


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project of one stage, seen from within that stage."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "dvc"))
    folder = tmp_path / "project"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (folder / "params.yaml").write_text("train: {zeta: 1, alpha: {rank: 8, deep: [2.0e-4]}}")
    (folder / "input").write_text("one")
    (folder / "dvc.yaml").write_text(
        "stages: {fit: {foreach: [x], do: {cmd: cp input out, deps: [input], params: [train],"
        " outs: [out]}}}"
    )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_STAGE", "fit@x")
    return folder


def repro() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "DVC_STAGE"}
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], check=True, env=environment)


def saved() -> Path:
    folder = checkpoint_folder("fit@x")
    (folder / "checkpoint-1").mkdir()
    return folder


def test_a_finished_stage_keeps_its_checkpoints_until_dvc_has_its_result(project: Path) -> None:
    folder = saved()
    keep_until_committed(folder, "fit@x")
    forget_committed()
    assert (checkpoint_folder("fit@x") / "checkpoint-1").exists(), "killed before the commit"
    repro()
    forget_committed()
    assert not folder.exists()


def test_an_earlier_result_is_not_this_one(project: Path) -> None:
    repro()
    (project / "input").write_text("two")
    folder = saved()
    keep_until_committed(folder, "fit@x")
    forget_committed()
    assert folder.exists()


def test_a_stage_under_way_keeps_them_whatever_was_recorded(project: Path) -> None:
    repro()
    folder = saved()
    forget_committed()
    assert folder.exists(), "forced to run again, and not at its end yet"


def test_those_of_a_stage_that_is_no_more_or_cannot_be_read_stay(project: Path) -> None:
    folder = saved()
    keep_until_committed(folder, "fit@x")
    repro()
    (project / "dvc.lock").write_text("schema: '2")
    forget_committed(project)
    assert folder.exists()


def test_it_is_the_lock_of_the_project_that_is_asked_wherever_one_stands(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved()
    keep_until_committed(folder, "fit@x")
    shutil.copytree(project, other := tmp_path / "other")
    repro()
    monkeypatch.chdir(project)  # where the stage is recorded, and in the other it is not
    forget_committed(other)
    assert (other / folder).exists()
    monkeypatch.chdir(tmp_path)
    forget_committed(project)
    assert not (project / folder).exists() and (other / folder).exists()


def test_outside_dvc_nothing_stays(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE")
    folder = saved()
    keep_until_committed(folder, "fit@x")
    assert not folder.exists()
