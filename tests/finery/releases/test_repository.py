"""Git's refusal is passed on, and a project that is not the root of its repository is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from finery.errors import UserError
from finery.git import GitError
from finery.releases.promote import promote, rollback
from finery.releases.registry import releases

from .conftest import Tiny

COMMANDS: list[Callable[[Path], object]] = [
    lambda root: promote(root, "merged"),
    lambda root: rollback(root, "merged"),
    releases,
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_repository_of_another_user(
    tiny: Tiny, command: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(GitError) as refused:
        command(tiny.folder)
    assert str(refused.value) == (
        f"git: detected dubious ownership in repository at '{tiny.folder}'; if you trust it:"
        f" git config --global --add safe.directory {tiny.folder}"
    )
    assert refused.value.exit_status == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_a_project_in_a_folder_of_its_repository(
    tiny: Tiny, command: Callable[[Path], object], tmp_path: Path
):
    around = tmp_path / "around"
    around.mkdir()
    shutil.move(tiny.folder, around / "project")
    shutil.move(around / "project/.git", around / ".git")
    whole = Tiny(around)
    whole.commit()
    with pytest.raises(GitError) as refused:
        command(around / "project")
    assert str(refused.value) == (
        f"{around}/project: not the root of its git repository; releases are tags of all of it:"
        " give the project one of its own (git subtree split --prefix=project)"
    )
    assert whole.tags() == []


def test_a_folder_of_the_project(tiny: Tiny):
    with pytest.raises(GitError, match=rf"not the root .*: go to {tiny.folder}$"):
        promote(tiny.folder / "tests", "merged")


def test_a_detached_head_is_a_commit_like_any(tiny: Tiny):
    tiny.sh("git", "checkout", "--quiet", "--detach")
    assert promote(tiny.folder, "merged").version == "v0.1.0"


@pytest.mark.parametrize("annotated", [[], ["-a", "-m", "mine"]], ids=["light", "annotated"])
def test_a_tag_made_by_hand_is_in_the_way(tiny: Tiny, annotated: list[str]):
    """A light one is no release; an annotated one is, as for GTO: of a commit with this package."""
    tiny.sh("git", "tag", *annotated, "merged@v0.1.0")
    if annotated:
        assert promote(tiny.folder, "merged").version == "v0.1.0"
        return
    with pytest.raises(UserError) as refused:
        promote(tiny.folder, "merged")
    assert str(refused.value) == (
        "merged@v0.1.0: such a tag is there, and is no release; `git tag -d merged@v0.1.0`, or"
        " choose another with --version"
    )
    assert promote(tiny.folder, "merged", version="v0.2.0").version == "v0.2.0"


def test_what_was_cut_off_between_two_tags_goes_on(tiny: Tiny):
    tiny.sh("git", "tag", "-a", "-m", "Register merged v0.1.0", "merged@v0.1.0")
    assert [release.stages for release in releases(tiny.folder)] == [()]
    release = promote(tiny.folder, "merged")
    assert (release.version, release.stages) == ("v0.1.0", ("prod",))
    assert tiny.tags() == ["merged#prod#1", "merged@v0.1.0"]
