"""Pushed from one machine, fetched on another: an S3 or a folder, to DVC, is a remote."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from finery.errors import UserError
from finery.releases.errors import NotDelivered, WorseThanChampion
from finery.releases.fetch import brought, fetch
from finery.releases.promote import promote, rollback
from finery.releases.registry import champion, releases

from .conftest import Tiny

DVC = (sys.executable, "-m", "dvc")
SOMEBODY = 4321
BETTER, WORSE = [1.0] * 40, [0.0] * 40


@pytest.fixture
def shared(tiny: Tiny) -> Tiny:
    """The project with a git remote and a DVC remote, both folders beside it."""
    remotes = tiny.folder.parent
    tiny.sh("git", "init", "--quiet", "--bare", "--initial-branch=main", str(remotes / "git"))
    tiny.sh("git", "remote", "add", "origin", str(remotes / "git"))
    tiny.sh(*DVC, "remote", "add", "--quiet", "--default", "store", str(remotes / "dvc"))
    tiny.commit()
    tiny.sh("git", "push", "--quiet", "--set-upstream", "origin", "main")
    return tiny


def cloned(tiny: Tiny, name: str = "clone") -> Tiny:
    folder = tiny.folder.parent / name
    tiny.sh("git", "clone", "--quiet", str(tiny.folder.parent / "git"), str(folder))
    clone = Tiny(folder)
    clone.sh("git", "config", "user.name", "Another")
    clone.sh("git", "config", "user.email", "another@example.org")
    return clone


def pushed_tags(tiny: Tiny) -> set[str]:
    listed = tiny.sh("git", "ls-remote", "--tags", "--refs", "origin")
    return {line.rpartition("refs/tags/")[2] for line in listed.splitlines()}


def intact(package: Path) -> list[str]:
    return [] if model(package) in ("first", "second") else ["model: changed"]


def model(package: Path) -> str:
    return json.loads((package / "model").read_text())["name"]


def test_push_brings_package_samples_and_tags(shared: Tiny):
    promote(shared.folder, "merged", push=True)
    assert pushed_tags(shared) == {"merged@v0.1.0", "merged#prod#1"}
    clone = cloned(shared)
    assert champion(clone.folder, "merged").version == "v0.1.0"
    clone.sh(*DVC, "pull", "--quiet", "models/packages/merged")
    assert model(clone.folder / "models/packages/merged") == "first"


def test_another_machine_compares_with_the_champion(shared: Tiny):
    """Its scores come from the DVC remote; nothing of it is in the clone's cache."""
    promote(shared.folder, "merged", push=True)
    clone = cloned(shared)
    clone.sh(*DVC, "pull", "--quiet", "models/packages/merged", "--allow-missing")
    clone.train("second", WORSE)
    with pytest.raises(WorseThanChampion):
        promote(clone.folder, "merged", push=True)
    assert pushed_tags(shared) == {"merged@v0.1.0", "merged#prod#1"}


def test_promoting_again_pushes_what_was_not(shared: Tiny):
    shared.sh(*DVC, "push", "--quiet")
    promote(shared.folder, "merged")
    assert pushed_tags(shared) == set()
    promote(shared.folder, "merged", push=True)
    assert pushed_tags(shared) == {"merged@v0.1.0", "merged#prod#1"}


def test_a_dvc_remote_that_takes_nothing_gets_no_tag(shared: Tiny):
    (shared.folder.parent / "dvc").write_text("a file where the folder should be")
    with pytest.raises(NotDelivered, match=r"^the DVC remote store: .*nothing was released"):
        promote(shared.folder, "merged", push=True)
    assert shared.tags() == []
    assert pushed_tags(shared) == set()


def test_whoever_comes_second_judges_by_what_the_first_released(shared: Tiny):
    clone = cloned(shared)
    promote(shared.folder, "merged", push=True)
    clone.train("second", WORSE)
    said: list[str] = []
    with pytest.raises(WorseThanChampion):
        promote(clone.folder, "merged", push=True, say=said.append)
    assert said == ["fetched from origin: merged#prod#1, merged@v0.1.0"]
    clone.train("third", BETTER)
    assert promote(clone.folder, "merged", push=True).version == "v0.2.0"


@pytest.mark.parametrize("how", [("--no-tags",), ("--depth=1",)], ids=" ".join)
def test_a_clone_without_tags_knows_the_releases(shared: Tiny, tmp_path: Path, how: tuple[str]):
    promote(shared.folder, "merged", push=True)
    shared.train("second", BETTER)
    shared.sh("git", "push", "--quiet")
    shared.sh("git", "clone", "--quiet", *how, f"file://{tmp_path}/git", str(tmp_path / "clone"))
    shared.sh(*DVC, "push", "--quiet")
    clone = Tiny(tmp_path / "clone")
    clone.sh("git", "config", "user.name", "Another")
    clone.sh("git", "config", "user.email", "another@example.org")
    assert clone.tags() == []
    release = promote(clone.folder, "merged")
    assert (release.version, release.records["prod"]["champion"]) == ("v0.2.0", "v0.1.0")


def test_whoever_is_overtaken_at_the_git_remote_releases_nothing(shared: Tiny, tmp_path: Path):
    clone = cloned(shared)
    shutil.copytree(tmp_path / "git", tmp_path / "before")
    promote(shared.folder, "merged", push=True)
    clone.sh("git", "remote", "set-url", "origin", str(tmp_path / "before"))
    clone.sh("git", "remote", "set-url", "--push", "origin", str(tmp_path / "git"))
    clone.train("second", BETTER)
    with pytest.raises(NotDelivered, match=r"git push origin: .*rejected") as refused:
        promote(clone.folder, "merged", push=True)
    assert "\n" not in str(refused.value)
    assert clone.tags() == []


def test_a_git_remote_that_is_away(shared: Tiny, tmp_path: Path):
    """A release for here goes on without it; one for all does not."""
    shared.sh(*DVC, "push", "--quiet")
    (tmp_path / "git").rename(tmp_path / "gone")
    with pytest.raises(NotDelivered, match=r"^git ls-remote origin: .*/git' does not appear to be"):
        promote(shared.folder, "merged", push=True)
    assert shared.tags() == []
    said: list[str] = []
    assert promote(shared.folder, "merged", say=said.append).version == "v0.1.0"
    assert len(said) == 1 and said[0].endswith("only the releases that are known here count")


def test_a_rollback_travels(shared: Tiny):
    promote(shared.folder, "merged", push=True)
    shared.train("second", BETTER)
    promote(shared.folder, "merged", push=True)
    rollback(shared.folder, "merged", reason="it swears", push=True)
    clone = cloned(shared)
    assert champion(clone.folder, "merged").version == "v0.1.0"
    assert champion(clone.folder, "merged").records["prod"]["reason"] == "it swears"


def test_a_clone_that_shares_the_cache_needs_no_remote(shared: Tiny):
    shared.sh(*DVC, "remote", "remove", "store")
    shared.commit()
    promote(shared.folder, "merged")
    shared.sh("git", "push", "--quiet", "--follow-tags", "--tags", "origin", "main")
    clone = cloned(shared)
    clone.sh(*DVC, "cache", "dir", "--local", str(shared.folder / ".dvc/cache"))
    clone.train("second", BETTER)
    assert promote(clone.folder, "merged").version == "v0.2.0"
    with pytest.raises(UserError, match=r"second: exists already|no release"):
        fetch(str(clone.folder), "second@prod", None, intact)
    release, folder = fetch(str(clone.folder), "merged@prod", clone.folder / "got", intact)
    assert (release.version, model(folder)) == ("v0.2.0", "second")


def test_a_worktree_knows_the_releases(shared: Tiny):
    first = promote(shared.folder, "merged", push=True)
    beside = shared.folder.parent / "beside"
    shared.sh("git", "worktree", "add", "--quiet", str(beside))
    assert releases(beside) == [first]


def test_a_release_is_brought_once_a_version(shared: Tiny):
    promote(shared.folder, "merged", push=True)
    said: list[str] = []
    first = brought(shared.folder, "merged@prod", intact, said.append)
    assert (model(first), said) == ("first", ["merged v0.1.0: fetching"])
    assert brought(shared.folder, "merged@v0.1.0", intact, said.append) == first
    shared.train("second", BETTER)
    promote(shared.folder, "merged", push=True)
    second = brought(shared.folder, "merged@prod", intact, said.append)
    assert (model(second), said[1:]) == ("second", ["merged v0.2.0: fetching"])
    with pytest.raises(UserError, match="merged@: say which one, such as merged@prod"):
        brought(shared.folder, "merged@", intact, said.append)


@pytest.mark.parametrize("source", ["git", "clone"])
def test_fetch_by_stage_and_by_version(shared: Tiny, tmp_path: Path, source: str):
    promote(shared.folder, "merged", push=True)
    shared.train("second", BETTER)
    promote(shared.folder, "merged", push=True)
    cloned(shared)
    where = str(tmp_path / source)
    release, folder = fetch(where, "merged@prod", tmp_path / "got/prod", intact)
    assert (release.version, model(folder)) == ("v0.2.0", "second")
    release, folder = fetch(where, "merged@v0.1.0", tmp_path / "got/old", intact)
    assert (release.version, model(folder)) == ("v0.1.0", "first")
    assert sorted(file.name for file in (tmp_path / "got").iterdir()) == ["old", "prod"]


def test_fetch_brings_the_signature_of_that_commit(shared: Tiny, tmp_path: Path):
    signature = shared.folder / "models/packages/merged.sig"
    for name in ("first", "second"):
        signature.write_text(f"of the {name}\n")
        shared.sh("git", "add", "--force", str(signature))
        shared.train(name, BETTER)
        promote(shared.folder, "merged", push=True)
    fetch(str(shared.folder), "merged@v0.1.0", tmp_path / "got", intact)
    fetch(str(shared.folder), "merged@prod", tmp_path / "new", intact)
    assert (tmp_path / "got.sig").read_text() == "of the first\n"
    assert (tmp_path / "new.sig").read_text() == "of the second\n"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("merged", "merged: say which one, such as merged@prod or merged@v1.2.0"),
        ("gptq@prod", "gptq: no release; there are merged"),
        ("merged@dev", "merged@dev: no such version or stage; there is v0.1.0 (prod)"),
        ("merged@v9.0.0", "merged@v9.0.0: no such version or stage; there is v0.1.0 (prod)"),
    ],
)
def test_fetch_names_what_there_is(tiny: Tiny, tmp_path: Path, wanted: str, said: str):
    promote(tiny.folder, "merged")
    with pytest.raises(UserError) as refused:
        fetch(str(tiny.folder), wanted, tmp_path / "out", intact)
    assert (str(refused.value), refused.value.exit_status) == (said, 2)


def test_fetch_never_touches_what_is_there(tiny: Tiny, tmp_path: Path):
    promote(tiny.folder, "merged")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="out: exists already"):
        fetch(str(tiny.folder), "merged@prod", tmp_path / "out", intact)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("source", ["nowhere", "https://127.0.0.1:9/x.git", "empty"])
def test_fetch_from_what_is_no_project(tmp_path: Path, source: str):
    (tmp_path / "empty").mkdir()
    where = source if "//" in source else str(tmp_path / source)
    with pytest.raises(UserError) as refused:
        fetch(where, "merged@prod", tmp_path / "out", intact)
    assert str(refused.value).startswith(f"{where}: ")
    assert "SCM error" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_fetch_in_a_clone_knows_what_was_released_since(
    shared: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    promote(shared.folder, "merged", push=True)
    clone = cloned(shared)
    shared.train("second", BETTER)
    promote(shared.folder, "merged", push=True)
    monkeypatch.chdir(clone.folder)
    said: list[str] = []
    release, folder = fetch(".", "merged@prod", tmp_path / "got", intact, said.append)
    assert (release.version, model(folder)) == ("v0.2.0", "second")
    assert said == ["fetched from origin: merged#prod#2, merged@v0.2.0"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_fetch_from_another_users_folder(shared: Tiny, tmp_path: Path):
    for path in (tmp_path / "git", *(tmp_path / "git").rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY)
    with pytest.raises(UserError) as refused:
        fetch(f"file://{tmp_path}/git", "merged@prod", shared.folder / "got", intact)
    assert "dubious ownership" in str(refused.value)
    assert f"git config --global --add safe.directory {tmp_path}/git" in str(refused.value)


def test_fetch_from_a_project_in_a_folder_of_its_repository(tiny: Tiny, tmp_path: Path):
    around = tmp_path / "around"
    around.mkdir()
    shutil.move(tiny.folder, around / "project")
    shutil.move(around / "project/.git", around / ".git")
    with pytest.raises(UserError, match="not the root of its git repository"):
        fetch(str(around / "project"), "merged@prod", tmp_path / "got", intact)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_fetch_to_where_nothing_can_be_written(tiny: Tiny, tmp_path: Path):
    promote(tiny.folder, "merged")
    (tmp_path / "closed").mkdir(mode=0o555)
    with pytest.raises(NotDelivered, match="closed/out: Permission denied"):
        fetch(str(tiny.folder), "merged@prod", tmp_path / "closed/out", intact)


def test_fetch_to_below_a_file(tiny: Tiny, tmp_path: Path):
    promote(tiny.folder, "merged")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        NotDelivered, match=r"file/out: (Not a directory|File exists); choose another"
    ):
        fetch(str(tiny.folder), "merged@prod", tmp_path / "file/out", intact)


def test_fetch_without_its_remote_leaves_nothing(shared: Tiny, tmp_path: Path):
    promote(shared.folder, "merged", push=True)
    shutil.rmtree(tmp_path / "dvc")
    with pytest.raises(NotDelivered, match="models/packages/merged") as refused:
        fetch(str(tmp_path / "git"), "merged@prod", tmp_path / "got/out", intact)
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "got").iterdir()) == []


def test_a_package_that_comes_damaged_is_not_kept(shared: Tiny, tmp_path: Path):
    promote(shared.folder, "merged", push=True)
    for file in (tmp_path / "dvc").rglob("*"):
        if file.is_file() and b'"first", "scores"' in (content := file.read_bytes()):
            file.chmod(0o644)
            file.write_bytes(content.replace(b"first", b"f1rst"))
    with pytest.raises(NotDelivered, match=r"merged v0.1.0: model: changed \(1 wrong\)"):
        fetch(str(tmp_path / "git"), "merged@prod", tmp_path / "got/out", intact)
    assert list((tmp_path / "got").iterdir()) == []


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_what_was_fetched_leans_on_no_cache(shared: Tiny, tmp_path: Path, kind: str):
    """Somebody edits it, or moves it to another machine."""
    shared.sh(*DVC, "cache", "dir", "--local", str(tmp_path / "disk"))
    shared.sh(*DVC, "config", "--local", "cache.type", kind)
    shared.train("second", BETTER)
    made = shared.folder / "models/packages/merged/model"
    assert made.is_symlink() == (kind == "symlink")
    promote(shared.folder, "merged", push=True)
    _, folder = fetch(str(shared.folder), "merged@prod", tmp_path / "got", intact)
    files = list(folder.iterdir())
    assert {file.name for file in files} == {"MANIFEST.json", "model"}
    assert not any(file.is_symlink() or file.stat().st_nlink > 1 for file in files)
    assert model(folder) == "second"


def test_dvc_gets_the_same_by_itself(shared: Tiny, tmp_path: Path):
    promote(shared.folder, "merged", push=True)
    shared.train("second", BETTER)
    promote(shared.folder, "merged", push=True)
    rollback(shared.folder, "merged", push=True)
    get = [*DVC, "artifacts", "get", str(tmp_path / "git"), "merged", "--stage", "prod"]
    subprocess.run([*get, "--out", "got"], cwd=tmp_path, check=True)
    assert model(tmp_path / "got") == "first"
