"""DVC's locks on the files that stages read and write (dvc/rwlock.py), of processes long gone.

DVC takes a lock as held while there is a process of that number: one that was killed and not
reaped, or, in a container above all, one that has the number by chance. Then runs wait for ever.
"""

import json
import os
from pathlib import Path
from typing import Any

import psutil

RWLOCK = Path(".dvc/tmp/rwlock")
CLOCKS = 2.0
"""Seconds by which the clocks of files and of processes may differ."""


def free(root: Path) -> tuple[list[str], bool]:
    """Free the locks of processes that are gone; what was done, and whether any is still held.

    To be called while no DVC can be writing the file.
    """
    path = root / RWLOCK
    try:
        locks, written = json.loads(path.read_text()), path.stat().st_mtime
        readers, writers = locks.get("read", {}), locks.get("write", {})
        holders = [*(one for each in readers.values() for one in each), *writers.values()]
        held = [holder for holder in holders if _is_alive(holder, written)]
    except FileNotFoundError:
        return [], False
    except (ValueError, TypeError, KeyError, AttributeError):
        path.unlink()
        return [f"{RWLOCK}: was cut off by a kill; removed"], False
    if len(held) < len(holders):
        readers = {file: [one for one in each if one in held] for file, each in readers.items()}
        writers = {file: one for file, one in writers.items() if one in held}
        kept = {"read": {file: each for file, each in readers.items() if each}, "write": writers}
        path.write_text(json.dumps(kept))
    gone = sorted({holder["pid"] for holder in holders if holder not in held})
    lines = [f"{RWLOCK}: freed the locks of process {pid}, which is gone" for pid in gone]
    return lines, bool(held)


def _is_alive(holder: dict[str, Any], written: float) -> bool:
    """Whether a lock's process is there still, and is the one that took it."""
    try:
        process = psutil.Process(holder["pid"])
        if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
            return False
        command = " ".join(process.cmdline())
        arguments = holder["cmd"].partition(" ")[2]
        is_dvc = "dvc" in command or (arguments and command.endswith(arguments))
        return process.create_time() < written + CLOCKS and bool(is_dvc)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
