"""A Prefect server for the tests of flows, and small DVC projects to run them on."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIAMOND = """\
stages:
  first:
    cmd: "{first}"
    deps: [input]
    outs: [first]
  left:
    cmd: "{left}"
    deps: [first]
    outs: [left]
  right:
    cmd: "{right}"
    deps: [first]
    outs: [right]
  last:
    cmd: "{last}"
    deps: [left, right]
    outs: [last]
"""
COPY = {"first": "cp input first", "left": "cp first left", "right": "cp first right"}
COPY["last"] = "cat left right > last"


@pytest.fixture(scope="session")
def prefect_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server of the tests' own; the user's Prefect is left alone."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        patch.delenv("PREFECT_API_URL", raising=False)
        from prefect.settings import PREFECT_HOME, temporary_settings

        from flows import server

        patch.setattr(server, "PORT", server._any_free_port())
        with temporary_settings({PREFECT_HOME: home}), ExitStack() as stack:
            with chdir(home):  # where it writes its log
                page = stack.enter_context(server.server())
            yield page


@pytest.fixture
def diamond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a project of four stages, one above two above one; commands can be given by name."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "dvc"))

    def make(**commands: str) -> Path:
        root = tmp_path / "project"
        root.mkdir()
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        shutil.copytree(ROOT / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
        (root / ".gitignore").write_text(".finery/\n")
        shutil.copy(ROOT / "params.yaml", root)
        (root / "input").write_text("one\n")
        (root / "dvc.yaml").write_text(DIAMOND.format(**COPY | commands))
        return root

    return make
