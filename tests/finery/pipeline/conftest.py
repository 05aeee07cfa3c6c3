"""A small project that ran once; every test changes a copy of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .small import Small, environment, make


@pytest.fixture(scope="package", autouse=True)
def dvc_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(tmp_path_factory.mktemp("dvc")).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="package")
def finished(tmp_path_factory: pytest.TempPathFactory, dvc_settings: None) -> Small:
    """A project whose stages all ran, committed. Tests may only look at it."""
    project = make(tmp_path_factory.mktemp("finished"))
    project.repro()
    project.commit()
    return project


@pytest.fixture
def small(finished: Small, tmp_path: Path) -> Small:
    """A copy of the finished project, to change; of what `status` keeps it has nothing."""
    kept = shutil.ignore_patterns(".finery")
    shutil.copytree(finished.folder, tmp_path / "small", symlinks=True, ignore=kept)
    return Small(tmp_path / "small")
