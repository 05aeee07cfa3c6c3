"""What no clone would have is named before anything is released."""

import sys
from collections.abc import Callable

import pytest

from finery.releases.errors import ReleaseError
from finery.releases.inputs import unkept
from finery.releases.promote import promote

from .conftest import Tiny

DVC = (sys.executable, "-m", "dvc")
PACKAGE = "models/packages/merged"


def ignored(tiny: Tiny) -> None:
    tiny.write(".gitignore", ".finery/\n*.csv\n")
    tiny.commit()
    tiny.write("tests/mine.csv", "1\n")


def linked_file(tiny: Tiny) -> None:
    tiny.write("../elsewhere.json", "[]")
    (tiny.folder / "tests/far.json").symlink_to(tiny.folder.parent / "elsewhere.json")
    tiny.commit()


def linked_folder(tiny: Tiny) -> None:
    tests = tiny.folder / "tests"
    tests.rename(tiny.folder.parent / "tests")
    tests.symlink_to(tiny.folder.parent / "tests")
    tiny.commit()


def untracked_settings(tiny: Tiny) -> None:
    tiny.sh("git", "rm", "--quiet", "--cached", "params.yaml")
    tiny.sh("git", "commit", "--quiet", "-m", "Out")


def gone(tiny: Tiny) -> None:
    tiny.sh("git", "rm", "--quiet", "-r", "--cached", "tests")
    tiny.sh("git", "commit", "--quiet", "-m", "Out")
    (tiny.folder / "tests/questions.json").unlink()
    (tiny.folder / "tests").rmdir()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda tiny: tiny.write("tests/mine.json", "[]"), ["tests/mine.json"]),
        (lambda tiny: tiny.write("tests/mine/a.json", "[]"), ["tests/mine/"]),
        (ignored, ["tests/mine.csv"]),
        (linked_file, ["tests/far.json"]),
        (linked_folder, ["tests"]),
        (untracked_settings, ["params.yaml"]),
        (gone, ["tests"]),
    ],
    ids=["untracked", "folder", "ignored", "linked", "linked folder", "settings", "gone"],
)
def test_what_a_clone_would_lack(tiny: Tiny, make: Callable[[Tiny], None], named: list[str]):
    make(tiny)
    assert unkept(tiny.folder, PACKAGE) == named


def test_what_a_stage_does_not_read_may_be_anywhere(tiny: Tiny):
    tiny.write("notes/mine.txt", "later")
    tiny.write("tests/__pycache__/x.pyc", "")
    tiny.write(".dvcignore", "__pycache__\n")
    tiny.commit()
    assert unkept(tiny.folder, PACKAGE) == []


def test_data_that_dvc_tracks_is_kept_once_its_file_is_committed(tiny: Tiny):
    tiny.write("tests/large.json", "[]")
    tiny.write("tests/sub/a.json", "[]")
    tiny.sh(*DVC, "add", "--quiet", "tests/large.json", "tests/sub")
    assert unkept(tiny.folder, PACKAGE) == [
        "tests/.gitignore", "tests/large.json.dvc", "tests/sub.dvc",
    ]  # fmt: skip
    tiny.commit()
    assert unkept(tiny.folder, PACKAGE) == []


def test_a_folder_outside_of_the_repository(tiny: Tiny):
    paths = ["../data", str(tiny.folder.parent / "more")]
    for path in paths:
        tiny.write(f"{path}/a.json", "[]")
    dvc_yaml = (tiny.folder / "dvc.yaml").read_text()
    tiny.write("dvc.yaml", dvc_yaml.replace("[tests]", f"[tests, {', '.join(paths)}]"))
    assert unkept(tiny.folder, PACKAGE) == ["../data", "../more"]


def test_a_release_of_it_is_refused(tiny: Tiny):
    for name in "abcde":
        tiny.write(f"tests/{name}.json", "[]")
    tiny.repro()
    tiny.sh("git", "add", "dvc.lock")
    tiny.sh("git", "commit", "--quiet", "-m", "As it is, but for the data")
    with pytest.raises(ReleaseError) as refused:
        promote(tiny.folder, "merged")
    assert str(refused.value) == (
        "tests/a.json, tests/b.json, tests/c.json and 2 more: neither in git nor kept by DVC, so"
        " that no clone could make this release again; `git add` (-f if git ignores it) or"
        " `dvc add`, commit"
    )
    assert tiny.tags() == []
