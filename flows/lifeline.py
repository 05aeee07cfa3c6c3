"""A run that another process has started ends with it: no orphan goes on writing."""

import multiprocessing
import os
import signal
import threading
import time


def end_with_runner() -> None:
    """End this process once `finery schedule` or the worker that started it has ended.

    Does nothing in a process that a person or a script started. It looks once a second: the
    kernel's leash would be held by a thread of the other process, which may end earlier.
    """
    if multiprocessing.parent_process() or "PREFECT__FLOW_RUN_ID" in os.environ:
        threading.Thread(target=_follow, args=[os.getppid()], daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
