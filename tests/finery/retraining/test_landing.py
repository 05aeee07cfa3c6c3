"""A result comes home whole or not at all, and never at the cost of somebody's work."""

import os
import subprocess
from pathlib import Path

import pytest

from finery.git import GitError
from finery.pipeline.checkout import clean_checkout
from finery.retraining.errors import NotCommitted, NotPushed
from finery.retraining.landing import commit, land, push

PARKED = "retrain/main"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository on main, with a remote that it tracks."""
    folder = tmp_path / "project"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git(tmp_path, "clone", "--quiet", "remote.git", "project")
    git(folder, "config", "user.name", "Tester")
    git(folder, "config", "user.email", "tester@example.org")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n")
    (folder / ".gitignore").write_text(".finery/\n")
    (folder / "dvc.lock").write_text("old\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Start")
    git(folder, "push", "--quiet", "--set-upstream", "origin", "main")
    return folder


def result(project: Path) -> tuple[Path, str]:
    """A checkout with a committed result."""
    checkout = clean_checkout(str(project), "main", project / ".finery/retrain")
    (checkout / "dvc.lock").write_text("new\n")
    (checkout / "reports").mkdir()
    (checkout / "reports/new.json").write_text("{}\n")
    return checkout, commit(checkout, "Retrain")


def test_a_clean_tree_moves_forward(project: Path) -> None:
    checkout, sha = result(project)
    assert land(project, checkout, sha, "main", PARKED) == "main"
    assert git(project, "rev-parse", "main") == sha
    assert (project / "dvc.lock").read_text() == "new\n"
    assert git(project, "status", "--short") == ""
    assert commit(checkout, "Nothing to commit") == sha


def test_a_branch_that_is_checked_out_nowhere_moves_forward(project: Path) -> None:
    checkout, sha = result(project)
    git(project, "checkout", "--quiet", "-b", "work")
    (project / "dvc.lock").write_text("edited\n")
    assert land(project, checkout, sha, "main", PARKED) == "main"
    assert git(project, "rev-parse", "main") == sha
    assert (project / "dvc.lock").read_text() == "edited\n"


@pytest.mark.parametrize("way", ["edited", "in use by DVC", "in the way", "moved on"])
def test_a_result_that_would_disturb_is_parked(project: Path, way: str) -> None:
    checkout, sha = result(project)
    if way == "edited":
        (project / "dvc.lock").write_text("edited\n")
    elif way == "in use by DVC":
        (project / ".dvc/tmp").mkdir()
        (project / ".dvc/tmp/rwlock").write_text('{"/models": {"write": {"pid": 1}}}')
    elif way == "in the way":
        (project / "reports").mkdir()
        (project / "reports/new.json").write_text("mine\n")
    else:
        git(project, "commit", "--quiet", "--allow-empty", "-m", "Meanwhile")
    before = git(project, "rev-parse", "main"), git(project, "status", "--short")
    assert land(project, checkout, sha, "main", PARKED) == PARKED
    assert git(project, "rev-parse", PARKED) == sha
    assert (git(project, "rev-parse", "main"), git(project, "status", "--short")) == before


def test_git_that_does_not_answer_moves_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree that is not known to be checked out would be left behind its branch."""
    checkout, sha = result(project)
    git(project, "fetch", "--quiet", str(checkout), sha)
    before = git(project, "rev-parse", "main")
    (project / ".git/worktrees").write_text("no folder")
    (project / ".git/index").write_bytes(b"garbage")
    with pytest.raises((GitError, NotCommitted)):
        land(project, checkout, sha, "main", PARKED)
    assert git(project, "rev-parse", "main") == before
    assert git(project, "branch", "--list", PARKED) == ""


def test_an_older_result_makes_room_where_results_are_parked(project: Path) -> None:
    (project / "dvc.lock").write_text("edited\n")
    git(project, "branch", PARKED)
    checkout, sha = result(project)
    assert land(project, checkout, sha, "main", PARKED) == PARKED
    assert git(project, "rev-parse", PARKED) == sha


def test_branch_and_tags_are_pushed(project: Path, tmp_path: Path) -> None:
    checkout, sha = result(project)
    land(project, checkout, sha, "main", PARKED)
    git(project, "tag", "v1", sha)
    for _ in range(2):  # the second time there is nothing left to push
        assert push(project, "main", "main", PARKED, ["v1"]) == "main"
    assert git(tmp_path / "remote.git", "rev-parse", "main", "v1").split() == [sha, sha]


def test_with_nothing_of_ones_own_nothing_is_pushed(project: Path, tmp_path: Path) -> None:
    git(project, "commit", "--quiet", "--allow-empty", "-m", "Ahead")
    git(project, "push", "--quiet")
    git(project, "reset", "--quiet", "--hard", "HEAD~1")
    assert push(project, "main", "main", PARKED, []) == "main"
    assert git(tmp_path / "remote.git", "branch", "--format=%(refname:short)") == "main"


def test_a_remote_that_moved_on_gets_the_result_beside(project: Path, tmp_path: Path) -> None:
    checkout, sha = result(project)
    land(project, checkout, sha, "main", PARKED)
    git(tmp_path, "clone", "--quiet", "remote.git", "other")
    git(tmp_path / "other", "config", "user.email", "other@example.org")
    git(tmp_path / "other", "config", "user.name", "Other")
    git(tmp_path / "other", "commit", "--quiet", "--allow-empty", "-m", "Meanwhile")
    git(tmp_path / "other", "push", "--quiet")
    assert push(project, "main", "main", PARKED, []) == PARKED
    assert git(tmp_path / "remote.git", "rev-parse", PARKED) == sha
    assert git(tmp_path / "remote.git", "log", "-1", "--format=%s", "main") == "Meanwhile"


def test_a_remote_that_is_away_is_one_line(project: Path, tmp_path: Path) -> None:
    (tmp_path / "remote.git").rename(tmp_path / "away.git")
    git(project, "commit", "--quiet", "--allow-empty", "-m", "Mine")
    with pytest.raises(NotPushed, match=r"git push origin: .*remote\.git") as error:
        push(project, "main", "main", PARKED, [])
    assert "\n" not in str(error.value)


def test_a_commit_without_an_author_is_one_line(project: Path) -> None:
    checkout, _ = result(project)
    git(checkout, "config", "user.useConfigOnly", "true")
    git(checkout, "config", "--unset", "user.email")
    (checkout / "dvc.lock").write_text("newer\n")
    with pytest.raises(NotCommitted, match=r"^git commit: ") as error:
        commit(checkout, "Retrain")
    assert "\n" not in str(error.value)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
