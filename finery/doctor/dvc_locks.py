"""Locks that DVC left behind, or that another run holds now."""

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import psutil

from finery.doctor.finding import Finding, note, ok, problem

NAME = "DVC locks"
RWLOCK = Path(".dvc/tmp/rwlock")
LOCK = Path(".dvc/tmp/lock")
RUNS_DVC = ("dvc", "finery", "stages.", "flows", "pytest")
REMOVE = "run: finery recover"


def locks() -> Iterator[Finding]:
    """Both of DVC's: the one on the project, and the one on files that stages read and write."""
    findings = [*_project_lock(), *_file_locks()]
    yield from findings or [ok(NAME, "none held")]


def _file_locks() -> Iterator[Finding]:
    """DVC clears the lock of a process that is gone; not that of one whose number was reused."""
    try:
        text = RWLOCK.read_text(encoding="utf-8")
        written = RWLOCK.stat().st_mtime
    except FileNotFoundError:
        return
    try:
        holders = _holders(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        what = f"{RWLOCK} is damaged, and stops every run"
        yield problem(NAME, what, REMOVE)
        return
    for pid, command in sorted(holders.items()):
        yield _held(pid, command, written)


def _holders(rwlock: dict) -> dict[int, str]:
    """The processes that hold a lock, by number, with their commands: dvc/rwlock.py."""
    readers = [info for infos in rwlock.get("read", {}).values() for info in infos]
    return {info["pid"]: info["cmd"] for info in [*readers, *rwlock.get("write", {}).values()]}


def _held(pid: int, command: str, written: float) -> Finding:
    try:
        process = psutil.Process(pid)
        line = " ".join(process.cmdline()) or process.name()
        started = process.create_time()
    except psutil.ZombieProcess:  # DVC takes it for alive
        what = f"of `{command}` (process {pid}), killed and not reaped: DVC lets no run start"
        return problem(NAME, what, REMOVE)
    except psutil.NoSuchProcess:
        what = f"of `{command}` (process {pid}), which was killed"
        return note(NAME, what, "nothing: the next run clears it")
    except psutil.AccessDenied:
        return note(NAME, f"held by process {pid}, of another user", "wait for it to end")
    if started > written or not any(word in line for word in (*RUNS_DVC, command)):
        what = f"of `{command}` (process {pid}), which is gone, but its number is in use again"
        what = f"{what} (`{line[:60]}`), so that DVC lets no run start"
        return problem(NAME, what, REMOVE)
    return note(NAME, f"held by a run: `{line[:80]}` (process {pid})", "wait for it, or end it")


def _project_lock() -> Iterator[Finding]:
    """zc.lockfile holds it with flock, which ends with its process, and writes who it is."""
    try:
        with LOCK.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        who = LOCK.read_text(errors="replace").strip()
        what = f"a dvc command is running (process {who})" if who else "a dvc command is running"
        yield note(NAME, what, "wait for it to end; `finery run` and `dvc --wait-for-lock` wait")
