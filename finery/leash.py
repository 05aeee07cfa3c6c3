"""A process that ends with the one that started it, even if that is killed by SIGKILL.

The kernel sees to it, on Linux; elsewhere nothing happens. Run by its path, this file puts itself
on the leash and then becomes the command it is given.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def leashed(command: Sequence[str]) -> list[str]:
    """The command line that runs a command on a leash held by the calling thread.

    The command is killed when this process ends, and also when this thread does.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def hold(parent: int) -> bool:
    """Have this process killed when its parent ends; False if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


if __name__ == "__main__":
    # What a shell starts in the background ignores Ctrl-C, by which a stage is told to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hold(int(sys.argv[1])):
        os.execvp(sys.argv[2], sys.argv[2:])
