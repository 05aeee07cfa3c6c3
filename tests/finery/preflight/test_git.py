"""A repository that git does not read is found by the check, not by the last stage."""

import shutil
from pathlib import Path

import pytest

from finery.git import git
from finery.params.schema import ParamsError
from finery.preflight.check import check

ROOT = Path(__file__).resolve().parents[3]


def test_a_repository_that_git_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", ".")
    check(Path("params.yaml"))
    git(tmp_path, "init", "-q")
    check(Path("params.yaml"))
    Path(".git/HEAD").unlink()
    with pytest.raises(ParamsError) as caught:
        check(Path("params.yaml"))
    (problem,) = caught.value.problems
    assert problem.startswith("git: not a git repository") and problem.endswith("what is damaged")
