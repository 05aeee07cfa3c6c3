"""Which code and data made a package: the commit, and what that commit does not hold."""

import os
import time
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo

from finery import git

# What the pipeline itself writes while it runs is no change of the code.
MADE = ("dvc.lock", "reports")
LOOKS = 5
PAUSE = 0.2  # seconds: longer than DVC takes to write dvc.lock


def provenance(project: Path) -> dict[str, Any]:
    """What MANIFEST.json says under `git`, by paths from `project`:

    commit     its SHA; None outside git, and before a first commit
    modified   files that differ from how they are in that commit
    untracked  inputs of the pipeline that are in no commit: ignored, not added, or elsewhere

    Raises `GitError` if git does not answer: that is never taken for a project without git.
    """
    commit = git.head(project)
    return {
        "commit": commit,
        "modified": git.changed(project, ".", but=MADE) if commit else [],
        "untracked": _untracked(project) if git.root(project) else [],
    }


def _untracked(project: Path) -> list[str]:
    inputs, made = _inputs(project)
    names = git.untracked(project, inputs)
    return [name for name in names if not _is_under(os.path.join(project, name), made)]


def _inputs(project: Path) -> tuple[list[str], set[str]]:
    """What the stages of dvc.yaml read and none makes; what DVC makes and keeps, absolute.

    A .dvc file is an input in place of what it stands for, which it pins. Without DVC there is
    none.
    """
    for _ in range(LOOKS):
        try:
            with Repo(os.fspath(project)) as repo:
                return _of_stages(project, repo.index.stages)
        except NotDvcRepoError:
            return [], set()
        except DvcException as error:  # another DVC is writing dvc.lock
            problem = error
            time.sleep(PAUSE)
    raise problem


def _of_stages(project: Path, stages: list[Any]) -> tuple[list[str], set[str]]:
    made = {out.fs_path for stage in stages for out in stage.outs}
    read = {dep for stage in stages if not stage.is_data_source for dep in stage.deps}
    files = {dep.fs_path for dep in read if dep.protocol == "local"}
    files |= {stage.path for stage in stages}
    inputs = [os.path.relpath(file, project) for file in files if not _is_under(file, made)]
    return sorted(inputs), made


def _is_under(path: str, folders: set[str]) -> bool:
    path = os.path.abspath(path)
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)
