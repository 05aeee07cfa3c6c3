"""What the stages of dvc.yaml read and make, as DVC has it."""

import os
import time
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo

LOOKS = 5
PAUSE = 0.2  # seconds: longer than DVC takes to write dvc.lock


def inputs_and_outputs(project: Path) -> tuple[list[str], set[str]]:
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
    inputs = [os.path.relpath(file, project) for file in files if not is_under(file, made)]
    return sorted(inputs), made


def is_under(path: str, folders: set[str]) -> bool:
    """Whether a path is one of the folders or in one of them; all absolute."""
    path = os.path.abspath(path)
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)
