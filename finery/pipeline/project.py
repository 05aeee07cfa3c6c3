"""A project as DVC sees it at one moment, also while `dvc repro` runs in it: no lock is taken."""

from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import TypeVar

from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo

from finery.pipeline.errors import ProjectError

LOOKS = 20
PAUSE = 0.2  # seconds: longer than DVC takes to write dvc.lock
Found = TypeVar("Found")


def look(root: Path, at: Callable[[Repo], Found]) -> Found:
    """What `at` finds in the project that has `root`.

    DVC rewrites dvc.lock in place and outputs come and go while a stage ends, so a look during
    which dvc.lock changed or a file vanished is repeated. Raises `ProjectError` if DVC cannot
    read the project.
    """
    for _ in range(LOOKS - 1):
        before = _stamp(root)
        try:
            found = _once(root, at)
        except FileNotFoundError:
            pass
        except ProjectError:
            if _stamp(root) == before:
                raise
        else:
            if _stamp(root) == before:
                return found
        sleep(PAUSE)
    return _once(root, at)


def _once(root: Path, at: Callable[[Repo], Found]) -> Found:
    try:
        with Repo(str(root)) as repo:
            return at(repo)
    except NotDvcRepoError:
        raise ProjectError(f"{root.absolute()}: no project; run from the project's root") from None
    except DvcException as error:
        raise ProjectError(" ".join(str(error).split())) from None


def _stamp(root: Path) -> tuple[int, int] | None:
    try:
        found = (root / "dvc.lock").stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
