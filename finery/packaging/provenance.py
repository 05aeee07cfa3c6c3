"""Which code and data made a package: the commit, and what that commit does not hold."""

import os
from pathlib import Path
from typing import Any

from finery import git
from finery.stage.inputs import inputs_and_outputs, is_under

# What the pipeline itself writes while it runs is no change of the code.
MADE = ("dvc.lock", "reports")


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
    inputs, made = inputs_and_outputs(project)
    names = git.untracked(project, inputs)
    return [name for name in names if not is_under(os.path.join(project, name), made)]
