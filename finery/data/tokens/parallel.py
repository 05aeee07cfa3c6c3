"""Work on chunks in several processes, in order; the processes die with this one."""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from finery.errors import PipelineError

WORKERS = "FINERY_WORKERS"
"""The environment variable that says how many processes; without it, one for each usable core."""
MOST = 16
WORTH_IT = 4_000_000
"""Bytes of a dataset from which several processes are quicker than one."""
PR_SET_PDEATHSIG = 1
Begin = Callable[[Any], Callable[[], Any]]


class WorkerError(PipelineError):
    """Work could not be done in several processes."""


def processes(size: int) -> int:
    """How many processes to read a dataset of `size` bytes in.

    Only Linux makes them at once and ends them with their parent. Raises `WorkerError` if the
    environment says what is no number.
    """
    if sys.platform != "linux" or size < WORTH_IT:
        return 1
    said = os.environ.get(WORKERS, "")
    if not said:
        return min(len(os.sched_getaffinity(0)), MOST)
    if not said.isdecimal() or int(said) < 1:
        raise WorkerError(f"{WORKERS}: must be a number from 1 on, not {said!r}")
    return int(said)


def ordered(begin: Begin, chunks: Iterable[Any], count: int) -> Iterator[Any]:
    """What becomes of each chunk, in their order; only a few are held at a time.

    `begin(chunk)` begins the work on a chunk and returns a function that ends it, with what has
    become of the chunk. With a count of one, this process does both, and begins with the next
    chunk before it ends one. Otherwise others inherit `begin`, which may hold what cannot be sent;
    chunks and results are sent. Raises `WorkerError` if one of them is killed.
    """
    gc.freeze()  # what is there now will stay: no need to look through it again and again
    if count == 1:
        yield from _overlapping(begin, chunks)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(count, context, _begin, (begin, os.getpid())) as pool:
        try:
            yield from _windowed(pool, chunks, 2 * count)
        except BrokenProcessPool:
            raise WorkerError(
                f"a process that prepared rows was killed (memory?); {WORKERS}=1 needs the least"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _overlapping(begin: Begin, chunks: Iterable[Any]) -> Iterator[Any]:
    end = None
    for chunk in chunks:
        end, before = begin(chunk), end
        if before:
            yield before()
    if end:
        yield end()


def _windowed(pool: ProcessPoolExecutor, chunks: Iterable[Any], most: int) -> Iterator[Any]:
    held: deque[Future[Any]] = deque()
    for chunk in chunks:
        held.append(pool.submit(_one, chunk))
        if len(held) > most:
            yield held.popleft().result()
    while held:
        yield held.popleft().result()


def _begin(begin: Begin, parent: int) -> None:
    """Leave signals to the parent, and end when it ends, however it does."""
    global _begun
    _begun = begin
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _one(chunk: Any) -> Any:
    return _begun(chunk)()
