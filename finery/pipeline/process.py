"""One stage in a DVC process of its own, of which nothing outlives this process."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import finery
from finery.pipeline.dvc_server import INTERRUPT, KILL
from finery.pipeline.errors import StageError, StoppedError

GRACE = 10.0
"""Seconds a stage has to remove what it half wrote, once it is told to end."""

_lock = threading.Lock()
_running: set["_Stage"] = set()
_stopped = False
_server: tuple[socket.socket, "subprocess.Popen[bytes]"] | None = None


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
    Raises `StoppedError` if `stop_all` came before it started, `StageError` if it cannot start.
    """
    running = _start(stage, root, environment)
    try:
        for line in running.output:
            on_line(line.rstrip("\n"))
        running.ended.wait()
    except BaseException:
        running.stop()
        raise
    finally:
        running.output.close()
        _running.discard(running)
    return running.status


def stop_all() -> None:
    """End every stage under way in this process, and start no other until `allow`."""
    global _stopped
    with _lock:
        _stopped = True
        stoppers = [threading.Thread(target=each.stop) for each in _running]
    for stopper in stoppers:
        stopper.start()
    for stopper in stoppers:
        stopper.join()


def allow() -> None:
    """Let stages start again after `stop_all`."""
    global _stopped
    _stopped = False


class _Stage:
    """A stage under way: what it prints, and once it has ended, its status."""

    def __init__(self, channel: socket.socket, output: TextIO) -> None:
        self.output = output
        self.ended = threading.Event()
        self.status = -signal.SIGKILL  # of one that ends without a word
        self._channel = channel
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        """Until the channel closes: only then is what the stage has started at its end, too."""
        with self._channel, suppress(ConnectionError):
            while said := self._channel.recv(16):
                self.status = int(said)
        self.ended.set()

    def stop(self) -> None:
        """Interrupt DVC and its stage as Ctrl-C would, and kill them if that does not help.

        DVC ignores an interrupt while its stage runs and waits for it. SIGTERM would kill DVC at
        once and the stage, on its leash, before it could clean up.
        """
        for word in (INTERRUPT, KILL):
            if not self.ended.is_set():
                with suppress(OSError):
                    self._channel.send(word)
                self.ended.wait(GRACE)


def _start(stage: str, root: Path, environment: Mapping[str, str]) -> _Stage:
    job = {
        "arguments": ["--wait-for-lock", "repro", "-s", stage],
        "root": str(root.absolute()),
        "environment": _environment() | environment,
    }
    with _lock:
        if _stopped:
            raise StoppedError(f"{stage}: not started, since the run was stopped; run it again")
        running = _begun(job) or _begun(job)  # the server may have been killed meanwhile
        if running is None:
            raise StageError(f"{stage}: cannot start; has the machine room for another process?")
        _running.add(running)
        return running


def _begun(job: Mapping[str, object]) -> _Stage | None:
    """A stage that the server has taken on; None, and no server, if it did not."""
    global _server
    if _server is None or _server[1].poll() is not None:
        _server = _started()
    mine, its = socket.socketpair()
    out, into = os.pipe()
    output = open(out, encoding="utf-8", errors="replace")  # noqa: SIM115
    with its, open(into, "wb"), suppress(ConnectionError):
        socket.send_fds(_server[0], [b"."], [its.fileno(), into])
    with suppress(ConnectionError):
        mine.sendall(json.dumps(job).encode() + b"\n")
        if mine.recv(1):
            return _Stage(mine, output)
    mine.close()
    output.close()
    _server[1].kill()
    _server[1].wait()
    _server = None
    return None


def _started() -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """A new server, and the socket with which it ends: with this process, then."""
    mine, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "finery.pipeline.dvc_server"],
            env=_environment() | {"PYTHONPATH": _python_path()},
            cwd="/",
            stdin=its,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    return mine, process


def _python_path() -> str:
    """Where this Finery is found, and then what there is."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    own = Path(finery.__file__).parent.parent
    return os.pathsep.join(os.path.abspath(each) for each in (own, *filter(None, given)))


def _environment() -> dict[str, str]:
    """This one's, with its own Python first, since the stages say just `python`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    inherited = {k: v for k, v in os.environ.items() if k not in ("DVC_STAGE", "DVC_ROOT")}
    return inherited | {"PATH": path, "PYTHONUNBUFFERED": "1"}
