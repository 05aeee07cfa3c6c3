"""Which code made a package: the commit, and what differed from it."""

import subprocess
from pathlib import Path
from typing import Any

# What the pipeline itself writes while it runs is no change of the code.
EXCEPT = (":(exclude)dvc.lock", ":(exclude)reports")


def state(folder: Path) -> dict[str, Any]:
    """{"commit": SHA or None outside git, "modified": tracked files of `folder` that differ}."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return {"commit": None, "modified": []}
    changed = _git(folder, "diff", "--name-only", "--relative", "-z", "HEAD", "--", ".", *EXCEPT)
    return {"commit": commit.strip(), "modified": sorted(filter(None, (changed or "").split("\0")))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True)
    except FileNotFoundError:
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None
