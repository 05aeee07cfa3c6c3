"""A stage in a checkout of its own, on any machine: inputs from the DVC remote, outputs to it."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from ruamel.yaml import YAML

from finery.checkout import clean_checkout
from finery.pipeline.errors import StageError
from finery.pipeline.process import run_stage
from finery.pipeline.project import look
from finery.pipeline.reasons import lock_reasons

LOCK = Path("dvc.lock")


@dataclass(frozen=True)
class Source:
    """The project that workers check out: a repository they reach, and a commit."""

    repo: str
    commit: str


@dataclass(frozen=True)
class Results:
    """What stages left: their entries of dvc.lock, and the outputs that only git keeps."""

    locked: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def write(self, root: Path) -> None:
        """Put them into a checkout."""
        lock = root / LOCK
        yaml = YAML()
        content = yaml.load(lock) if lock.exists() else {"schema": "2.0", "stages": {}}
        content["stages"].update(self.locked)
        partial = lock.with_name(".partial-dvc.lock")
        yaml.dump(content, partial)
        partial.replace(lock)
        for name, data in self.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)


def run_elsewhere(
    stage: str,
    source: Source,
    before: Results,
    on_line: Callable[[str], None],
    work: Path,
    environment: Mapping[str, str] = {},
) -> tuple[int, Results]:
    """Run one stage in a clean checkout under `work`; its exit status and what it left.

    `before` is what the stages above it left since the commit. Inputs are pulled from the DVC
    remote, outputs pushed to it. Raises `StageError` if either fails.
    """
    with _checkout(source, work) as root:
        before.write(root)
        if inputs := _inputs(stage, root):
            _dvc(root, "pull", "--force", *inputs)
        status = run_stage(stage, on_line, root, environment)
        if status:
            return status, Results()
        _dvc(root, "push", stage)
        return 0, _results(stage, root)


def reasons_by_lock(stage: str, root: Path) -> tuple[str, ...]:
    """Why a stage has to run, told by dvc.lock: no output needs to be in `root`."""

    def at(repo: Repo) -> tuple[str, ...]:
        made = {out.fs_path: out for each in repo.index.stages for out in each.outs}
        return lock_reasons(repo.stage.load_one(name=stage), made)

    return look(root, at)


@contextmanager
def _checkout(source: Source, work: Path) -> Iterator[Path]:
    """A checkout of the project in which no other stage runs; the next stage finds it again."""
    project = work.expanduser() / hashlib.sha256(source.repo.encode()).hexdigest()[:12]
    project.mkdir(parents=True, exist_ok=True)
    for slot in count():
        with (project / f"{slot}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield clean_checkout(source.repo, source.commit, project / str(slot), project / "cache")
            return


def _inputs(stage: str, root: Path) -> list[str]:
    """The inputs that other stages made and that DVC keeps."""

    def at(repo: Repo) -> list[str]:
        made = {out.fs_path for each in repo.index.stages for out in each.outs if out.use_cache}
        deps = repo.stage.load_one(name=stage).deps
        return [dep.def_path for dep in deps if dep.fs_path in made]

    return look(root, at)


def _results(stage: str, root: Path) -> Results:
    def at(repo: Repo) -> list[str]:
        outs = repo.stage.load_one(name=stage).outs
        return [out.def_path for out in outs if not out.use_cache]

    locked = YAML(typ="safe").load(root / LOCK)["stages"][stage]
    files = {name: (root / name).read_bytes() for name in look(root, at)}
    return Results({stage: locked}, files)


def _dvc(root: Path, verb: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", verb, "--quiet", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split()).removeprefix("ERROR: ")
        raise StageError(f"dvc {verb} {' '.join(arguments)}: {said}")
