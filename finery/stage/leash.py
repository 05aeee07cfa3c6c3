"""A process that ends with the one that started it, even if that is killed by SIGKILL.

The kernel sees to it, on Linux; elsewhere nothing happens. Run by its path, this file runs a
command and stays above it: once its caller has ended, it kills all that the command has started.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h
CALLER_ENDED = signal.SIGUSR1


def leashed(command: Sequence[str]) -> list[str]:
    """The command line that runs a command on a leash held by the calling thread.

    To be started in a session of its own: all of that is killed when this process ends, and also
    when this thread does. Its status is the command's, to which it hands on SIGTERM.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def hold(parent: int, sent: signal.Signals = signal.SIGKILL) -> bool:
    """Have this process sent a signal when its parent ends; False if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, sent)
    return os.getppid() == parent


def _run(caller: int, command: Sequence[str]) -> int:
    signal.signal(CALLER_ENDED, lambda *_: os.killpg(0, signal.SIGKILL))
    # What a shell starts in the background ignores Ctrl-C, by which a stage is told to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    own = os.getpid()
    if not hold(caller, CALLER_ENDED):
        return 1
    child = os.fork()
    if not child:
        if hold(own):
            os.execvp(command[0], command)
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:  # end as it did
        signal.signal(-status, signal.SIG_DFL)
        os.kill(own, -status)
    return status


if __name__ == "__main__":
    sys.exit(_run(int(sys.argv[1]), sys.argv[2:]))
