"""What others pushed arrives, and what cannot be had or merged is one line."""

import os
import subprocess
from pathlib import Path

import pytest

from finery.errors import UserError
from finery.git import GitError
from finery.pipeline.checkout import clean_checkout
from finery.upstream.branch import branch_of, fetched, merge, start_of
from finery.upstream.errors import MergeConflict, UpstreamError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone on main of a remote to which `other` pushes too."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    for name in ("project", "other"):
        git(tmp_path, "clone", "--quiet", "remote.git", name)
        git(tmp_path / name, "config", "user.name", "Tester")
        git(tmp_path / name, "config", "user.email", "tester@example.org")
    (tmp_path / "project/.dvc").mkdir()
    write(tmp_path / "project", ".dvc/config", "")
    git(tmp_path / "project", "push", "--quiet", "--set-upstream", "origin", "main")
    git(tmp_path / "other", "pull", "--quiet")
    return tmp_path / "project"


def write(folder: Path, name: str, text: str) -> str:
    """Write a file and commit it; the commit."""
    (folder / name).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", f"Write {name}")
    return git(folder, "rev-parse", "HEAD")


def pushed(project: Path, name: str, text: str) -> str:
    sha = write(project.parent / "other", name, text)
    git(project.parent / "other", "push", "--quiet")
    return sha


def test_what_was_pushed_is_fetched_and_merged(project: Path) -> None:
    theirs, mine = pushed(project, "data", "new\n"), write(project, "notes", "mine\n")
    assert fetched(project, "main") == theirs
    checkout = clean_checkout(str(project), "main", project.parent / "checkout")
    merge(checkout, theirs, "what main tracks")
    assert (checkout / "data").read_text() == "new\n"
    assert (checkout / "notes").read_text() == "mine\n"
    assert git(project, "rev-parse", "main") == mine, "the user's branch stays where it was"


def test_a_branch_that_tracks_nothing_has_no_upstream(project: Path) -> None:
    git(project, "branch", "alone")
    assert fetched(project, "alone") is None


def test_the_same_lines_on_both_sides_are_a_conflict(project: Path) -> None:
    theirs = pushed(project, "data", "theirs\n")
    write(project, "data", "mine\n")
    fetched(project, "main")
    checkout = clean_checkout(str(project), "main", project.parent / "checkout")
    with pytest.raises(MergeConflict, match="what main tracks does not merge by itself: data;"):
        merge(checkout, theirs, "what main tracks")
    assert git(checkout, "status", "--short") == ""


def test_a_remote_that_is_away_is_one_line(project: Path) -> None:
    (project.parent / "remote.git").rename(project.parent / "away")
    with pytest.raises(UpstreamError, match=r"^git fetch origin: .*remote\.git"):
        fetched(project, "main")


def test_a_branch_that_is_gone_from_the_remote_is_not_up_to_date(project: Path) -> None:
    git(project.parent / "remote.git", "update-ref", "-d", "refs/heads/main")
    with pytest.raises(UpstreamError, match="couldn't find remote ref refs/heads/main"):
        fetched(project, "main")


def test_a_clone_of_one_branch_fetches_the_one_that_it_tracks(project: Path) -> None:
    git(project.parent, "clone", "--quiet", "--single-branch", "remote.git", "single")
    git(project.parent / "other", "checkout", "--quiet", "-b", "dev")
    theirs = write(project.parent / "other", "data", "new\n")
    git(project.parent / "other", "push", "--quiet", "origin", "dev")
    single = project.parent / "single"
    git(single, "branch", "dev")
    git(single, "config", "branch.dev.remote", "origin")
    git(single, "config", "branch.dev.merge", "refs/heads/dev")
    assert fetched(single, "dev") == theirs


def test_a_merge_that_cannot_begin_is_no_conflict(project: Path) -> None:
    theirs = pushed(project, "data", "new\n")
    fetched(project, "main")
    checkout = clean_checkout(str(project), "main", project.parent / "checkout")
    (checkout / "data").write_text("in the way\n")
    with pytest.raises(GitError, match="untracked working tree files would be overwritten"):
        merge(checkout, theirs, "what main tracks")
    assert (checkout / "data").read_text() == "in the way\n"


def test_git_that_refuses_the_project_is_not_taken_for_none(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    remedy = f"git config --global --add safe.directory {project}"
    for ask in (branch_of, lambda root: start_of(root, "main"), lambda root: fetched(root, "main")):
        with pytest.raises(GitError, match=f"dubious ownership .*{remedy}$"):
            ask(project)


def test_a_retraining_goes_on_from_results_that_are_ahead(project: Path) -> None:
    git(project, "checkout", "--quiet", "-b", "retrain/main")
    ahead = write(project, "dvc.lock", "new\n")
    git(project, "checkout", "--quiet", "main")
    assert start_of(project, "main", "main", "retrain/main") == ahead
    main = write(project, "data", "newer\n")
    assert start_of(project, "main", "main", "retrain/main") == main
    assert start_of(project, "main", "unheard-of") == main


def test_which_branch_is_retrained(project: Path) -> None:
    git(project, "branch", "other")
    assert branch_of(project) == "main"
    assert branch_of(project, "other") == "other"
    with pytest.raises(UserError, match="no branch unheard-of"):
        branch_of(project, "unheard-of")
    with pytest.raises(UserError, match="not a git repository"):
        branch_of(project.parent)
    (project / "folder").mkdir()
    with pytest.raises(UserError, match="not the root of its git repository"):
        branch_of(project / "folder")
    git(project, "checkout", "--quiet", "--detach")
    with pytest.raises(UserError, match="no branch is checked out"):
        branch_of(project)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
