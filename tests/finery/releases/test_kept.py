"""What is tagged can be had: by `finery fetch` elsewhere, or at least from the cache here."""

import json
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from finery.releases.errors import NotDelivered, ReleaseError
from finery.releases.fetch import fetch
from finery.releases.kept import LOCAL, parts
from finery.releases.promote import promote, rollback

from .conftest import Tiny

DVC = (sys.executable, "-m", "dvc")
PACKAGE = "models/packages/merged"
BETTER = [1.0] * 40


@pytest.fixture
def stored(tiny: Tiny) -> Tiny:
    """The project with a DVC remote that has all of it, both in a folder beside it."""
    tiny.sh(*DVC, "remote", "add", "--quiet", "-d", "store", str(tiny.folder.parent / "store"))
    tiny.commit()
    tiny.sh(*DVC, "push", "--quiet")
    return tiny


def cloned(tiny: Tiny) -> Tiny:
    """A fresh clone: without outputs and with an empty cache."""
    clone = Tiny(tiny.folder.parent / "clone")
    tiny.sh("git", "clone", "--quiet", str(tiny.folder), str(clone.folder))
    clone.sh("git", "config", "user.name", "Another")
    clone.sh("git", "config", "user.email", "another@example.org")
    return clone


def refusal(tiny: Tiny, kind: type[Exception] = ReleaseError, **options: object) -> str:
    """The line that a promotion ends with; nothing is tagged."""
    before = tiny.tags()
    with pytest.raises(kind) as refused:
        promote(tiny.folder, "merged", **options)
    assert tiny.tags() == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


def lose(store: Path, content: bytes) -> None:
    """Remove the one file of a cache or a remote that has this content in it."""
    files = [file for file in store.rglob("*") if file.is_file() and content in file.read_bytes()]
    assert len(files) == 1
    files[0].unlink()


def test_a_clone_that_has_nothing_and_no_remote(tiny: Tiny):
    clone = cloned(tiny)
    assert refusal(clone) == (
        f"{PACKAGE}: it is not in DVC's cache here, and no DVC remote is set; make it here"
        " (`dvc repro`), or set the remote that has it: dvc remote add -d NAME URL, `dvc pull`"
    )
    assert refusal(clone, version="v3.0.0") == refusal(clone)


@pytest.mark.parametrize("push", [False, True])
def test_a_clone_whose_remote_lacks_it(stored: Tiny, push: bool):
    shutil.rmtree(stored.folder.parent / "store")
    assert refusal(cloned(stored), push=push) == (
        f"{PACKAGE}: it is neither in DVC's cache here nor on the DVC remote store; `dvc push` it"
        " where it was made, or make it here (`dvc repro`)"
    )


def test_in_the_working_tree_alone(tiny: Tiny):
    shutil.rmtree(tiny.folder / ".dvc/cache")
    line = refusal(tiny)
    assert line.endswith(f"the working tree has it: `dvc commit {PACKAGE}`, and then `dvc push`")
    tiny.sh(*DVC, "commit", "--quiet", PACKAGE)
    assert refusal(tiny).startswith("reports/evaluate/merged/samples.jsonl: it is not in DVC's")
    tiny.sh(*DVC, "commit", "--quiet")
    assert promote(tiny.folder, "merged").version == "v0.1.0"


def test_in_the_cache_and_not_on_the_remote(stored: Tiny):
    shutil.rmtree(stored.folder.parent / "store")
    assert refusal(stored) == (
        f"{PACKAGE}: it is not on the DVC remote store, where it is fetched from; `dvc push` sends"
        " it, and so does --push"
    )
    stored.sh(*DVC, "push", "--quiet")
    assert promote(stored.folder, "merged").version == "v0.1.0"


@pytest.mark.parametrize("where", ["cache", "store"])
def test_a_folder_of_which_a_file_is_lost(stored: Tiny, where: str):
    if where == "cache":
        shutil.rmtree(stored.folder.parent / "store")
        lose(stored.folder / ".dvc/cache", b'"sha256": "first"')
        shutil.rmtree(stored.folder / PACKAGE)  # it may be a link to what was lost
        assert refusal(stored).startswith(f"{PACKAGE}: 1 of its 3 files are neither in DVC's cache")
    else:
        lose(stored.folder.parent / "store", b'"sha256": "first"')
        assert refusal(stored).startswith(f"{PACKAGE}: 1 of its 3 files are not on the DVC remote")


def test_a_package_that_was_changed_since(tiny: Tiny):
    model = tiny.folder / PACKAGE / "model"
    model.unlink()
    model.write_text("{}")
    assert refusal(tiny).startswith(f"{PACKAGE}: changed since it was made; `dvc checkout --force")
    tiny.sh(*DVC, "checkout", "--quiet", "--force", PACKAGE)
    (tiny.folder / PACKAGE / "notes.txt").write_text("mine")
    assert refusal(tiny).startswith(f"{PACKAGE}: changed since it was made")


def test_a_remote_that_does_not_answer(stored: Tiny):
    stored.sh(*DVC, "remote", "modify", "--local", "store", "url", "http://127.0.0.1:9/dvc")
    line = refusal(stored, NotDelivered)
    assert line.startswith("the DVC remote store: ")
    assert line.endswith("; nothing was released: see to it, try again")


def test_a_remote_that_is_only_named(stored: Tiny):
    stored.sh("git", "config", "--file", ".dvc/config.local", "core.remote", "elsewhere")
    assert refusal(stored, NotDelivered).startswith("the DVC remote elsewhere: ")


def test_without_a_remote_it_is_said_that_it_is_here_alone(tiny: Tiny):
    said: list[str] = []
    promote(tiny.folder, "merged", say=said.append)
    assert said == [LOCAL]


def test_what_a_clone_promotes_another_can_fetch(stored: Tiny, tmp_path: Path):
    said: list[str] = []
    clone = cloned(stored)
    promote(clone.folder, "merged", say=said.append)
    assert said == []
    release, folder = fetch(str(clone.folder), "merged@prod", tmp_path / "got", lambda _: [])
    assert (release.version, json.loads((folder / "model").read_text())["name"]) == (
        "v0.1.0",
        "first",
    )


def test_no_way_back_to_what_is_lost(stored: Tiny):
    promote(stored.folder, "merged")
    commit = stored.sh("git", "rev-parse", "HEAD").strip()
    stored.train("second", BETTER)
    stored.sh(*DVC, "push", "--quiet")
    promote(stored.folder, "merged")
    tags = stored.tags()
    for store in (stored.folder / ".dvc/cache", stored.folder.parent / "store"):
        lose(store, b'"name": "first"')
    with pytest.raises(ReleaseError) as refused:
        rollback(stored.folder, "merged")
    assert str(refused.value) == (
        f"{PACKAGE}: 1 of its 3 files are neither in DVC's cache here nor on the DVC remote store;"
        f" `dvc push` it where it was made, or make it at commit {commit[:8]} (`dvc repro`)"
    )
    assert stored.tags() == tags


def test_a_remote_over_http_is_asked_for_each_file(stored: Tiny, tmp_path: Path):
    served = partial(SimpleHTTPRequestHandler, directory=tmp_path / "store")
    with ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        stored.sh(*DVC, "remote", "modify", "--local", "store", "url", url)
        assert [part.on_remote for part in parts(stored.folder, "HEAD", "merged")] == [0, 0]
        lose(tmp_path / "store", b'"sha256": "first"')
        assert [part.on_remote for part in parts(stored.folder, "HEAD", "merged")] == [1, 0]
        server.shutdown()


def test_a_clone_whose_settings_are_newer_than_the_package_it_lacks(stored: Tiny):
    """DVC cannot even say what would run without the data of a stage that would."""
    evaluate = (stored.folder / "stages/evaluate.py").read_text()
    stored.write("stages/evaluate.py", evaluate + "# newer\n")
    stored.commit()
    line = refusal(cloned(stored))
    assert "evaluate" in line and "older than what was committed" in line
    assert "run `dvc" in line and "and commit" in line
