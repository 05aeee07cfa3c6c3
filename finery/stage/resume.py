"""Where a stage keeps its checkpoints: outside every output, keyed by what the stage depends on.

They outlive the stage until DVC has recorded its result in dvc.lock: a kill in between makes DVC
run the stage again, which then goes on from its last checkpoint instead of from the beginning.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

CHECKPOINTS = Path(".finery/checkpoints")
FINISHED = "finished"
"""In a folder whose stage came to its end: the name of the stage."""
LOOKS = 5
PAUSE = 0.2  # seconds: longer than DVC takes to write dvc.lock


def checkpoint_folder(stage: str) -> Path:
    """The folder for this stage with its present dependencies and params; others' are removed.

    The key is made of the hashes DVC takes of the stage's dependencies, code and params included:
    a checkpoint made from anything else is never found. Outside DVC the folder starts empty.
    """
    mine = CHECKPOINTS / stage.replace("@", "-")
    key = _dependency_key(stage) if os.environ.get("DVC_STAGE") else None
    for old in mine.glob("*"):
        if old.name != key:
            shutil.rmtree(old)
    folder = mine / (key or "manual")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep_until_committed(folder: Path, stage: str) -> None:
    """Leave the checkpoints of a finished stage to `forget_committed`; without DVC, remove them."""
    if os.environ.get("DVC_STAGE"):
        (folder / FINISHED).write_text(stage)
    else:
        shutil.rmtree(folder)


def forget_committed(root: Path = Path()) -> None:
    """Remove the checkpoints of the finished stages whose results are in dvc.lock."""
    for mark in (root / CHECKPOINTS).glob(f"*/*/{FINISHED}"):
        with suppress(FileNotFoundError):  # another stage that begins now does the same
            if _committed_key(mark.read_text(), root) == mark.parent.name:
                shutil.rmtree(mark.parent)


def _dependency_key(stage: str) -> str:
    """Of the dependencies as they are now."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    for look in reversed(range(LOOKS)):
        try:
            with Repo() as repo:
                loaded = repo.stage.load_one(name=stage)
                loaded.save_deps()
                return _key(loaded.deps)
        except DvcException:  # another DVC is writing dvc.lock
            if not look:
                raise
            time.sleep(PAUSE)


def _committed_key(stage: str, root: Path) -> str | None:
    """Of the dependencies that dvc.lock has; None if it cannot be read now."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    graph = str(root / "dvc.yaml")  # by itself, DVC takes the one of the current directory
    with suppress(DvcException), Repo(str(root)) as repo:
        return _key(repo.stage.load_one(path=graph, name=stage).deps)
    return None


def _key(deps: Iterable[Any]) -> str:
    hashes = sorted((str(dep), str(dep.hash_info.value)) for dep in deps)
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:16]
