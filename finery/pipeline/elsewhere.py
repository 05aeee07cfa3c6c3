"""A stage in a checkout of its own, on any machine: inputs from the DVC remote, outputs to it."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from ruamel.yaml import YAML

from finery.pipeline.checkout import clean_checkout
from finery.pipeline.errors import StageError
from finery.pipeline.process import run_stage
from finery.pipeline.project import look
from finery.pipeline.status import made, named

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

    def __or__(self, later: "Results") -> "Results":
        return Results(self.locked | later.locked, self.files | later.files)

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


def results(root: Path, stage: str | None = None) -> Results:
    """What a stage left in a checkout, by its dvc.lock; all of them, unless one is named."""
    lock = root / LOCK
    locked = YAML(typ="safe").load(lock)["stages"] if lock.exists() else {}
    if stage:
        locked = {stage: locked[stage]}
    paths = [path for name in _kept_by_git(root, locked) for path in _files(root / name)]
    return Results(locked, {path.relative_to(root).as_posix(): path.read_bytes() for path in paths})


def run_elsewhere(
    stage: str, source: Source, before: Results, on_line: Callable[[str], None], work: Path
) -> tuple[int, Results]:
    """Run one stage in a clean checkout under `work`; its exit status and what it left.

    `before` is what stages left since the commit. Inputs are pulled from the DVC remote, outputs
    pushed to it. Raises `StageError` if either fails.
    """
    with _checkout(source, work) as root:
        before.write(root)
        pull(root, _inputs(stage, root))
        if status := run_stage(stage, on_line, root):
            return status, Results()
        _dvc(root, "push", stage)
        return 0, results(root, stage)


def pull(root: Path, names: Iterable[str]) -> None:
    """Bring outputs from the DVC remote into a checkout. Raises `StageError`."""
    if wanted := list(names):
        _dvc(root, "pull", "--force", *wanted)


def data_within(root: Path) -> list[str]:
    """Data that .dvc files record inside of what stages depend on: no dvc.lock tells of it."""

    def at(repo: Repo) -> list[str]:
        whole = {dep.fs_path for each in repo.index.stages for dep in each.deps}
        outs = [out for each in repo.index.stages if not each.cmd for out in each.outs]
        paths = {out.fs_path for out in outs} - whole
        return [_name(repo, path) for path in paths if any(_is_in(path, dep) for dep in whole)]

    return look(root, at)


def lock_and_kept_by_git(root: Path) -> set[str]:
    """The files of git that a run writes: dvc.lock, and metrics and plots."""
    files = [path for name in _kept_by_git(root) for path in _files(root / name)]
    return {str(LOCK), *(path.relative_to(root).as_posix() for path in files)}


@contextmanager
def _checkout(source: Source, work: Path) -> Iterator[Path]:
    """A checkout of the project in which no other stage runs; the next stage finds it again."""
    project = work / hashlib.sha256(source.repo.encode()).hexdigest()[:12]
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
    """The outputs in DVC's keeping that a stage depends on."""

    def at(repo: Repo) -> list[str]:
        stored = [path for path, out in made(repo).items() if out.use_cache]
        deps = [
            dep.fs_path for dep in named(stage, repo).deps if not isinstance(dep, ParamsDependency)
        ]
        return [_name(repo, path) for path in stored if any(_is_in(path, dep) for dep in deps)]

    return look(root, at)


def _kept_by_git(root: Path, stages: Iterable[str] | None = None) -> list[str]:
    def at(repo: Repo) -> list[str]:
        outs = [out for out in made(repo).values() if not out.use_cache]
        return [
            _name(repo, out.fs_path) for out in outs if stages is None or out.stage.name in stages
        ]

    return look(root, at)


def _files(path: Path) -> list[Path]:
    return [each for each in (path, *path.rglob("*")) if each.is_file()]


def _is_in(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def _name(repo: Repo, path: str) -> str:
    return Path(path).relative_to(repo.root_dir).as_posix()


def _dvc(root: Path, verb: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", verb, "--quiet", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split()).removeprefix("ERROR: ")
        raise StageError(f"dvc {verb} {' '.join(arguments)}: {said}")
