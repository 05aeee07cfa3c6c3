"""Where a stage keeps its checkpoints: outside every output, keyed by what the stage depends on."""

import hashlib
import json
import os
import shutil
from pathlib import Path

CHECKPOINTS = Path(".finery/checkpoints")


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


def _dependency_key(stage: str) -> str:
    from dvc.repo import Repo

    with Repo() as repo:
        loaded = repo.stage.load_one(name=stage)
        loaded.save_deps()
        hashes = sorted((str(dep), str(dep.hash_info.value)) for dep in loaded.deps)
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:16]
