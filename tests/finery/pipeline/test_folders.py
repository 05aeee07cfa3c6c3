"""The files that changed in a folder are named whatever DVC has kept of it."""

import shutil
from pathlib import Path

from finery.pipeline.folders import KEPT
from finery.pipeline.status import reasons, status

from .small import Small

TWO = ("data/raw/two.txt changed",)


def kept(project: Small) -> list[Path]:
    return sorted((project.folder / ".finery/trees").glob("*"))


def forget_git(project: Small) -> None:
    shutil.rmtree(project.folder / ".git")
    project.write(".dvc/config", "[core]\n    no_scm = true\n")


def test_the_commit_knows_the_listing(small: Small) -> None:
    small.write("data/raw/two.txt", "2")
    assert reasons("prepare", small.folder) == TWO


def test_an_older_commit_knows_the_listing(small: Small) -> None:
    """What is committed now never ran; the commit that recorded the hash has what did."""
    small.write("data/raw/four.txt", "4")
    small.commit()
    small.write("data/raw/two.txt", "2")
    expected = ("data/raw/four.txt is new", *TWO)
    assert reasons("prepare", small.folder) == expected
    forget_git(small)
    assert reasons("prepare", small.folder) == expected, "it is kept once it was found"


def test_a_listing_is_kept_while_nothing_changed(small: Small) -> None:
    forget_git(small)
    status(small.folder)
    assert [file.suffix for file in kept(small)] == [".json", ".json"]
    small.write("data/raw/two.txt", "2")
    assert reasons("prepare", small.folder) == TWO


def test_what_is_kept_stays_bounded(small: Small) -> None:
    for number in range(KEPT + 5):
        small.write(f".finery/trees/{number}.json", "{}")
    status(small.folder)
    assert len(kept(small)) == KEPT


def test_the_cache_knows_the_listing_of_an_output(small: Small) -> None:
    forget_git(small)
    status(small.folder)
    assert len(kept(small)) == 2, "of data/raw and finery/cleaning; prepared is in DVC's cache"
    small.remove("prepared/n")
    assert reasons("train", small.folder) == ("prepared/n missing",)


def test_nobody_knows_the_listing(small: Small) -> None:
    forget_git(small)
    small.write("data/raw/two.txt", "2")
    assert reasons("prepare", small.folder) == ("data/raw changed",)


def test_a_damaged_listing_is_found_anew(small: Small) -> None:
    status(small.folder)
    for file in kept(small):
        file.write_text("[")
    small.write("data/raw/two.txt", "2")
    assert reasons("prepare", small.folder) == TWO


def test_the_root_of_the_repository_is_above_the_projects(small: Small) -> None:
    shutil.move(small.folder / ".git", small.folder.parent)
    Small(small.folder.parent).commit()
    small.write("data/raw/two.txt", "2")
    assert reasons("prepare", small.folder) == TWO


def test_a_folder_became_a_file(small: Small) -> None:
    small.remove("data/raw")
    small.write("data/raw", "")
    assert reasons("prepare", small.folder) == ("data/raw changed",)
