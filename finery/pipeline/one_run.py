"""One run at a time in a checkout."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from finery.pipeline import process
from finery.pipeline.errors import BusyError

LOCK = Path(".finery/run.lock")


@contextmanager
def only_run(root: Path = Path()) -> Iterator[None]:
    """Be the only run in the checkout; at the end, every stage that it started ends too.

    The lock is the kernel's (flock) and ends with this process, however that dies. Raises
    `BusyError` if another process has it.
    """
    path = root / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        _lock(file)
        process.allow()
        try:
            yield
        finally:
            process.stop_all()


def _lock(file: TextIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(f"another run is under way here{_holder(file)}; wait for it") from None
    file.truncate(0)
    json.dump({"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}, file)
    file.flush()


def _holder(file: TextIO) -> str:
    """Who has the lock, unless it has only just been taken."""
    file.seek(0)
    try:
        holder = json.load(file)
        return f" (pid {holder['pid']}, since {holder['since']})"
    except ValueError:
        return ""
