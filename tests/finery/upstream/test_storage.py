"""Data that DVC imported is fetched anew when its source changes, and only then."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.world import Server
from finery.upstream.errors import RemoteError, UpstreamError
from finery.upstream.storage import cache_folder, push, restore, update_imports


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DVC project, with a folder beside it."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "dvc"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    folder = tmp_path / "project"
    (tmp_path / "feed").mkdir()
    (tmp_path / "feed/rows.json").write_text("[]\n")
    folder.mkdir()
    run(folder, "git", "init", "--quiet")
    dvc(folder, "init")
    return folder


@pytest.fixture
def server(tmp_path: Path, project: Path) -> Iterator[Server]:
    server = Server(tmp_path / "feed")
    dvc(project, "import-url", f"{server.url}/rows.json")
    yield server
    server.stop()


def test_an_import_is_fetched_when_its_source_changed(project: Path, server: Server) -> None:
    assert update_imports(project) == []
    (project.parent / "feed/rows.json").write_text('[{"instruction": "Who are you?"}]\n')
    assert update_imports(project) == [f"rows.json: new at {server.url}/rows.json"]
    assert "Who are you" in (project / "rows.json").read_text()
    assert update_imports(project) == []


def test_an_import_from_a_git_repository_is_fetched_too(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    run(other, "git", "init", "--quiet")
    for who in ("name", "email"):
        run(other, "git", "config", f"user.{who}", "tester@example.org")
    (other / "rows.json").write_text("[]\n")
    for text in ("[]\n", "[1]\n"):
        (other / "rows.json").write_text(text)
        run(other, "git", "add", ".")
        run(other, "git", "commit", "--quiet", "-m", "Rows")
        if text == "[]\n":
            dvc(project, "import", str(other), "rows.json", "--out", "imported.json")
    (line,) = update_imports(project)
    assert line.startswith("imported.json: new at ")
    assert (project / "imported.json").read_text() == "[1]\n"


def test_a_source_that_does_not_answer_is_one_line(project: Path, server: Server) -> None:
    server.stop()
    with pytest.raises(UpstreamError) as error:
        update_imports(project)
    assert str(error.value) == f"{server.url}/rows.json: does not answer, or is gone"
    server.start()
    assert update_imports(project) == []


def test_outputs_come_back_from_the_remote(project: Path, server: Server, tmp_path: Path) -> None:
    dvc(project, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    (project / "model").write_text("weights")
    dvc(project, "add", "model")
    push(project)
    for path in (project / "model", cache_folder(project) / "files"):
        run(project, "rm", "-rf", str(path))
    restore(project)
    assert (project / "model").read_text() == "weights"


def test_a_remote_that_is_away_is_one_line(project: Path) -> None:
    dvc(project, "remote", "add", "--default", "storage", "http://127.0.0.1:9/storage")
    (project / "model").write_text("weights")
    dvc(project, "add", "model")
    with pytest.raises(RemoteError, match=r"the DVC remote: .*127\.0\.0\.1:9") as error:
        push(project)
    assert "\n" not in str(error.value)


def dvc(folder: Path, *arguments: str) -> None:
    run(folder, sys.executable, "-m", "dvc", *arguments)


def run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
