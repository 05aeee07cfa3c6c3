"""A project as DVC sees it at one moment, also while `dvc repro` runs in it: no lock is taken."""

from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import TypeVar

from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo
from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError
from dvc_data.hashfile.build import IgnoreInCollectedDirError
from ruamel.yaml.error import MarkedYAMLError

from finery.pipeline.errors import ProjectError, UnreadableError

LOOKS = 5
PAUSE = 0.2  # seconds: longer than DVC takes to write dvc.lock
Found = TypeVar("Found")


def look(root: Path, at: Callable[[Repo], Found]) -> Found:
    """What `at` finds in the project that has the folder `root`.

    A run rewrites dvc.lock in place, removes outputs and makes them anew, so what cannot be read,
    or was read while dvc.lock changed, is looked at again. Raises `ProjectError` if there is no
    project and `UnreadableError` if DVC cannot read it.
    """
    home = _home(root)
    for _ in range(LOOKS):
        before = _written(home)
        try:
            found = _once(home, at)
        except UnreadableError as error:
            problem = error
        else:
            if before == _written(home):
                return found
            problem = UnreadableError("dvc.lock: is being written again and again; try again later")
        sleep(PAUSE)
    raise problem


def _home(root: Path) -> Path:
    try:
        return Path(Repo.find_root(str(root)))
    except NotDvcRepoError:
        raise ProjectError(f"{root.absolute()}: no project; run from the project's root") from None


def _once(home: Path, at: Callable[[Repo], Found]) -> Found:
    try:
        with Repo(str(home)) as repo:
            return at(repo)
    except (DvcException, IgnoreInCollectedDirError) as error:
        raise UnreadableError(_line(error)) from None
    except OSError as error:
        problem = f"{error.filename}: {(error.strerror or str(error)).lower()}"
        raise UnreadableError(f"{problem}; mend or remove it") from None


def _written(home: Path) -> tuple[int, int] | None:
    """When dvc.lock was last written, and its size."""
    try:
        found = (home / "dvc.lock").stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _line(error: Exception) -> str:
    """DVC's message in one line, with the place that DVC keeps for its own screen."""
    match error:
        case YAMLSyntaxError(relpath=file, exc=Exception(__cause__=MarkedYAMLError() as cause)):
            line = f":{cause.problem_mark.line + 1}" if cause.problem_mark else ""
            return f"{_plain(file)}{line}: not YAML: {cause.problem}{_advice(file)}"
        case YAMLValidationError(path=file, exc=cause):
            first = cause.errors[0]
            key = ".".join(map(str, first.path))
            return f"{_plain(file)}: {key}: {first.error_message}{_advice(file)}"
    return " ".join(str(error).split())


def _plain(file: str) -> str:
    return file.removeprefix("./")


def _advice(file: str) -> str:
    return (
        "; restore it: finery recover, or git checkout dvc.lock"
        if file.endswith("dvc.lock")
        else ""
    )
