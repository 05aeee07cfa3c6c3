"""A stage never outlives the DVC process that started it, whose lock it writes under.

An orphan would go on writing while the next run makes the same files.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from select import select

import psutil

from finery.errors import PipelineError
from finery.stage import leash

RWLOCK = Path(".dvc/tmp/rwlock")
SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox"}
INITS = {"init", "systemd"}


def end_with_dvc(outputs: Iterable[Path]) -> None:
    """Have this process, and those it forks, killed when the DVC that started it ends.

    Outside DVC nothing happens. Raises `PipelineError` if that DVC has ended already.
    """
    if not os.environ.get("DVC_STAGE"):
        return
    dvc = _writer({str(path.absolute()) for path in outputs})
    leash.hold(os.getppid())
    os.register_at_fork(after_in_child=lambda: leash.hold(os.getppid()))
    try:
        orphan = _watch(dvc) if dvc in _ancestors() else _adopted()
    except (ProcessLookupError, psutil.NoSuchProcess):
        orphan = True
    if orphan:
        raise PipelineError("the DVC that started this stage has ended; run it again")


def _writer(outputs: set[str]) -> int | None:
    """The process that DVC's lock names as the writer of the outputs; None if it is not found."""
    for _ in range(5):
        try:
            locked = json.loads((Path(os.environ["DVC_ROOT"]) / RWLOCK).read_text())["write"]
            return next((info["pid"] for path, info in locked.items() if path in outputs), None)
        except ValueError:  # another DVC is writing it
            time.sleep(0.05)
        except (OSError, KeyError):
            break
    return None


def _ancestors() -> list[int]:
    return [process.pid for process in psutil.Process().parents()]


def _adopted() -> bool:
    """Whether init is the parent now, of this process or of the shell that DVC ran it by.

    Where DVC is no ancestor for another reason (srun, docker), there is no telling.
    """
    parents = psutil.Process().parents()
    outside = next((each for each in parents if each.name() not in SHELLS), None)
    return outside is None or outside.pid == 1 or outside.name() in INITS


def _watch(dvc: int) -> bool:
    """Where a shell is between DVC and this process, the leash is tied to that: watch DVC too."""
    if os.getppid() != dvc and hasattr(os, "pidfd_open"):
        descriptor = os.pidfd_open(dvc)

        def end() -> None:
            select([descriptor], [], [])
            os.kill(os.getpid(), signal.SIGKILL)

        threading.Thread(target=end, daemon=True).start()
    return dvc not in _ancestors()
