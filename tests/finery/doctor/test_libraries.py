"""Python and the installed versions, against pyproject.toml and constraints.txt."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from finery.doctor.libraries import libraries, python

from .conftest import executable, first_on_path

PYDANTIC = version("pydantic")


def needs(*requirements: str) -> None:
    Path("pyproject.toml").write_text(f"[project]\ndependencies = {list(requirements)}\n")


def constrain(*lines: str) -> None:
    Path("constraints.txt").write_text("".join(f"{line}\n" for line in lines))


def found() -> list[tuple[str, str]]:
    return [(f.level, f.what) for f in libraries()]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    needs("pydantic>=2")


def test_all_as_it_should_be():
    constrain("# Exact versions", f"pydantic=={PYDANTIC}  # core", "not-installed-at-all==1.0")
    assert found() == [("ok", "the versions of constraints.txt")]


def test_another_build_of_a_version_is_that_version():
    number = version("torch").partition("+")[0]
    needs(f"torch=={number}")
    constrain(f"torch=={number}+cu130")
    assert [level for level, _ in found()] == ["ok"]


def test_another_version_is_worth_a_note():
    constrain("pydantic==1.0.0", "rich==1.0", "typer==1.0", "numpy==1.0", "jinja2==1.0")
    ((level, what),) = found()
    assert level == "note"
    assert what.startswith(f"not as in constraints.txt: pydantic {PYDANTIC} (not 1.0.0), rich")
    assert what.endswith(" and 1 more")


def test_what_finery_needs_is_in_the_way():
    needs("pydantic>=99", "no-such-library", "left-out==1; python_version < '3'")
    assert found() == [
        ("problem", f"pydantic: {PYDANTIC} is installed, needs >=99"),
        ("problem", "no-such-library: not installed"),
    ]


def test_dvc_repro_does_without_prefect():
    needs("prefect>=99")
    assert found()[0][0] == "note"


def test_without_the_projects_files_the_installed_metadata_counts():
    Path("pyproject.toml").unlink()
    ((level, what),) = found()
    assert (level, what.endswith("constraints.txt is not here")) == ("ok", True)
    assert int(what.split()[1]) > 20


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="needs a virtual environment")
def test_the_python_of_the_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", first_on_path(Path(sys.executable).parent))
    (found,) = python()
    assert (found.level, sys.prefix in found.what) == ("ok", True)
    executable(tmp_path / "bin/python", "echo /another/environment")
    monkeypatch.setenv("PATH", first_on_path(tmp_path / "bin"))
    (found,) = python()
    assert found.level == "note" and found.what.endswith("is of /another/environment")
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = python()
    assert found.what.endswith("is not on PATH")
