"""DVC, loaded once: a process that forks one of itself for each stage that is to run.

It is asked by `finery.pipeline.process`, over a socket that is its standard input, and ends with
whoever has the other end of that. Each stage has a channel of its own besides: by it come the job
and then what to do with the stage, back go a sign that it has begun and the status DVC ended with.
Whoever has the other end may die in any way: the stage and all that it started are killed then.
"""

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

from finery.stage.leash import hold

BEGUN, INTERRUPT, KILL = b"b", b"i", b"k"


def serve() -> None:
    """Fork a keeper for each pair of descriptors that comes: a channel, and where output goes."""
    asked = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:  # what is forked must not keep the socket open
        os.dup2(nothing.fileno(), 0)
    _load_dvc()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are not waited for
    while (received := socket.recv_fds(asked, 1, 2))[0]:
        channel, output = received[1]
        with suppress(OSError):  # no room for another process: the channel closes with no sign
            if not os.fork():
                asked.close()
                _keep(socket.socket(fileno=channel), output)
        os.close(channel)
        os.close(output)


def _load_dvc() -> None:
    """All that `dvc repro` needs, most of which it would load only when it comes to it."""
    import dvc.cachemgr
    import dvc.cli.parser
    import dvc.commands.repro
    import dvc.data_cloud
    import dvc.lock
    import dvc.repo.open_repo
    import dvc.rwlock
    import dvc.scm
    import dvc.utils.strictyaml
    import psutil  # noqa: F401

    dvc.cli.parser.get_main_parser()


def _keep(channel: socket.socket, output: int) -> NoReturn:
    """Stay above one DVC, in a session of their own, and let nothing of that outlive it."""
    os.setsid()
    for each in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)
    with channel.makefile("rb") as stream:
        job = json.loads(stream.readline())
    channel.sendall(BEGUN)
    keeper = os.getpid()
    if not (child := os.fork()):
        channel.close()
        _become_dvc(job, output, keeper)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    os.close(output)
    threading.Thread(target=_obey, args=[channel], daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(OSError):
        channel.sendall(str(status).encode())
    os.killpg(0, signal.SIGKILL)  # what is left of the session, and this


def _obey(channel: socket.socket) -> None:
    """Interrupt or kill the session when told to, and kill it when nobody is there to tell."""
    while (word := channel.recv(1)) == INTERRUPT:
        os.killpg(0, signal.SIGINT)
    assert word in (KILL, b"")
    os.killpg(0, signal.SIGKILL)


def _become_dvc(job: dict[str, Any], output: int, keeper: int) -> NoReturn:
    """Go on as the command `dvc`, with the job's arguments and environment."""
    if not hold(keeper):
        os._exit(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.chdir(job["root"])
    os.environ.clear()
    os.environ.update(job["environment"])
    from dvc.cli import main

    sys.argv = ["dvc", *job["arguments"]]
    sys.exit(main(job["arguments"]))


if __name__ == "__main__":
    serve()
