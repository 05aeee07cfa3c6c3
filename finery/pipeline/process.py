"""One stage in a DVC process of its own, of which nothing outlives this process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from finery.pipeline.errors import StoppedError
from finery.stage.leash import leashed

GRACE = 10.0
"""Seconds a stage has to remove what it half wrote, once it is told to end."""

Process: TypeAlias = "subprocess.Popen[str]"

_lock = threading.Lock()
_running: dict[Process, threading.Thread] = {}
_stopped = False


def run_stage(
    stage: str,
    on_line: Callable[[str], None],
    root: Path = Path(),
    environment: Mapping[str, str] = {},
) -> int:
    """Run one stage of the project at `root` by DVC, and return DVC's exit status.

    `on_line` gets each line that it prints, errors too; a bar that redraws itself is many lines.
    `environment` is added to this process's. DVC and the stage run in a session of their own. It
    ends when this function does, by whatever exception, and with this process however that dies.
    Raises `StoppedError` if `stop_all` came before it started.
    """
    process, sweeper = _start(stage, root, environment)
    try:
        for line in process.stdout:
            on_line(line.rstrip("\n"))
        sweeper.join()
    except BaseException:
        _stop(process, sweeper)
        raise
    finally:
        process.stdout.close()
        del _running[process]
    return process.returncode


def stop_all() -> None:
    """End every stage under way in this process, and start no other until `allow`."""
    global _stopped
    with _lock:
        _stopped = True
        stoppers = [threading.Thread(target=_stop, args=each) for each in list(_running.items())]
    for stopper in stoppers:
        stopper.start()
    for stopper in stoppers:
        stopper.join()


def allow() -> None:
    """Let stages start again after `stop_all`."""
    global _stopped
    _stopped = False


def _start(
    stage: str, root: Path, environment: Mapping[str, str]
) -> tuple[Process, threading.Thread]:
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "-s", stage]
    with _lock:
        if _stopped:
            raise StoppedError(f"{stage}: not started, since the run was stopped; run it again")
        process = subprocess.Popen(
            leashed(command),
            cwd=root,
            env=_environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        _running[process] = threading.Thread(target=_sweep, args=[process], daemon=True)
        _running[process].start()
        return process, _running[process]


def _environment() -> dict[str, str]:
    """This one's, with its own Python first, since the stages say just `python`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    inherited = {k: v for k, v in os.environ.items() if k not in ("DVC_STAGE", "DVC_ROOT")}
    return inherited | {"PATH": path, "PYTHONUNBUFFERED": "1"}


def _stop(process: Process, sweeper: threading.Thread) -> None:
    """Interrupt DVC and its stage as Ctrl-C would, and kill them if that does not help.

    DVC ignores an interrupt while its stage runs and waits for it. SIGTERM would kill DVC at once
    and the stage, on its leash, before it could clean up.
    """
    for sent in (signal.SIGINT, signal.SIGKILL):
        if sweeper.is_alive():
            _signal(process, sent)
            sweeper.join(GRACE)


def _sweep(process: Process) -> None:
    """Once DVC has ended, kill what is left of its session: only then is its output complete."""
    if hasattr(os, "waitid"):  # not on macOS: its number is nobody else's until it is waited for
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:
        process.wait()
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: Process, sent: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, sent)
