"""What git says, and that its failure is never taken for an answer."""

import os
import shutil
from pathlib import Path

import pytest

from finery.git import GitError, changed, git, head, root, untracked

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b")
SOMEBODY = 4321


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a project in it: data/raw/{a,b}.json, .dvcignore."""
    folder = tmp_path / "repo"
    for name in ("data/raw/a.json", "data/raw/b.json"):
        write(folder, name)
    write(folder, ".dvcignore", "__pycache__\n*.pyc\n")
    git(folder, "init", "-q")
    commit(folder)
    return folder


def write(folder: Path, name: str, text: str = "1") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def commit(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, *IDENTITY, "commit", "-qm", "all")


def test_outside_git_there_is_nothing(tmp_path: Path):
    assert (root(tmp_path), head(tmp_path), untracked(tmp_path, ["x"])) == (None, None, [])


def test_before_the_first_commit_there_is_a_repository(tmp_path: Path):
    git(tmp_path, "init", "-q")
    write(tmp_path, "x")
    assert (root(tmp_path), head(tmp_path)) == (tmp_path.resolve(), None)
    assert untracked(tmp_path, ["x"]) == ["x"]


def test_the_commit_also_from_a_folder_below(repo: Path):
    assert head(repo) == head(repo / "data/raw") == git(repo, "rev-parse", "HEAD").strip()
    assert root(repo / "data/raw") == repo.resolve()


def test_changed_files_by_their_paths_from_the_folder(repo: Path):
    for name in ("a b.py", "ü.py", "dvc.lock"):
        write(repo, f"data/{name}")
    commit(repo)
    for name in ("data/a b.py", "data/ü.py", "data/dvc.lock", ".dvcignore"):
        write(repo, name, "2")
    assert changed(repo / "data", ".", but=["dvc.lock"]) == ["a b.py", "ü.py"]


def test_another_users_repository_is_an_error_with_gits_own_remedy(repo: Path):
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    for path in (repo, repo / ".git"):
        os.chown(path, SOMEBODY, SOMEBODY)
    for asked in (root, head, lambda folder: untracked(folder, ["data"])):
        with pytest.raises(GitError) as caught:
            asked(repo / "data")
        assert str(caught.value) == (
            f"git: detected dubious ownership in repository at '{repo}';"
            f" if you trust it: git config --global --add safe.directory {repo}"
        )


def lose_objects(folder: Path) -> None:
    shutil.rmtree(folder / ".git/objects")
    (folder / ".git/objects").mkdir()


def lose_head(folder: Path) -> None:
    (folder / ".git/HEAD").unlink()


def garble_branch(folder: Path) -> None:
    branch = git(folder, "symbolic-ref", "HEAD").strip()
    (folder / ".git" / branch).write_text("garbage")


def lose_worktree(folder: Path) -> None:
    shutil.rmtree(folder / ".git")
    write(folder, ".git", "gitdir: /nowhere/at/all\n")


def garble_config(folder: Path) -> None:
    (folder / ".git/config").write_text("[core")


@pytest.mark.parametrize(
    "damage", [lose_objects, lose_head, garble_branch, lose_worktree, garble_config]
)
def test_a_damaged_repository_is_not_taken_for_none(repo: Path, damage):
    damage(repo)
    with pytest.raises(GitError, match=r"^git: .*fsck` says what is damaged$"):
        head(repo / "data")


def test_a_damaged_index_is_not_taken_for_no_changes(repo: Path):
    (repo / ".git/index").write_bytes(b"garbage")
    with pytest.raises(GitError, match="index file"):
        changed(repo)
    with pytest.raises(GitError, match="index file"):
        untracked(repo, ["data"])


def test_without_git_installed_a_repository_is_an_error(repo: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="not installed, and this is a git repository; install it"):
        head(repo)
    assert head(tmp_path) is None


def test_git_of_a_hook_asks_this_repository(repo: Path, tmp_path: Path, monkeypatch):
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    assert untracked(repo / "data", ["raw"]) == [] and head(repo)


def test_what_a_clone_would_lack(repo: Path):
    write(repo, ".gitignore", "*.csv\n/ignored/\n")
    for name in ("data/raw/c.json", "data/raw/d.csv", "data/new/x", "data/new/y", "ignored/z"):
        write(repo, name)
    for name in ("data/raw/__pycache__/m.pyc", "data/raw/n.pyc"):
        write(repo, name)
    paths = ["data/raw", "data/new", "ignored", "data/raw/a.json", "missing"]
    lacking = ["data/new/", "data/raw/c.json", "data/raw/d.csv", "ignored/"]
    assert untracked(repo, paths) == lacking
    assert untracked(repo, ["data/raw/a.json", "missing"]) == []
    assert untracked(repo / "data", ["raw/c.json", "../ignored/z"]) == [
        "../ignored/z",
        "raw/c.json",
    ]


def test_odd_names_are_taken_as_they_are(repo: Path):
    for name in ("da ta/ü'$(x).json", "-n", "*.json", ":(top)x"):
        write(repo, name)
    assert untracked(repo, ["da ta", "-n", ":(top)x"]) == ["-n", ":(top)x", "da ta/"]
    assert untracked(repo, ["*.json"]) == ["*.json"]
    commit(repo)
    for name in ("*.json", ":(top)x", "data/raw/a.json"):
        write(repo, name, "2")
    assert changed(repo, "*.json", ":(top)x") == ["*.json", ":(top)x"]
    assert changed(repo, ".", but=["data/raw", ":(top)x"]) == ["*.json"]


def test_what_lies_elsewhere_is_in_no_commit(repo: Path, tmp_path: Path):
    write(tmp_path, "elsewhere/x.json")
    (repo / "linked").symlink_to(tmp_path / "elsewhere")
    (repo / "data/raw/x.json").symlink_to(tmp_path / "elsewhere/x.json")
    (repo / "data/raw/y.json").symlink_to("a.json")
    (repo / "near").symlink_to("data")
    commit(repo)
    outside = str(tmp_path / "elsewhere")
    assert untracked(repo, ["../elsewhere", outside]) == sorted(["../elsewhere", outside])
    assert untracked(repo, ["linked", "data/raw"]) == ["data/raw/x.json", "linked"]
    write(repo, "data/raw/z.json")
    assert untracked(repo, ["near/raw"]) == ["data/raw/x.json", "data/raw/z.json"]
