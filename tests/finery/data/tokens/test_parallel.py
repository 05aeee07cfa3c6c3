import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from finery.data.tokens import parallel
from finery.data.tokens.parallel import WorkerError, ordered, processes


def slow_first(number: int) -> Callable[[], tuple[int, int]]:
    time.sleep(0.2 if number == 0 else 0)
    return lambda: (number, os.getpid())


def test_results_come_in_order_and_from_other_processes():
    made = list(ordered(slow_first, range(20), 2))
    assert [number for number, _ in made] == list(range(20))
    assert os.getpid() not in {pid for _, pid in made}


def test_one_process_is_this_one():
    assert {pid for _, pid in ordered(slow_first, range(1, 4), 1)} == {os.getpid()}


def test_the_next_is_begun_before_one_is_ended():
    done: list[str] = []

    def begin(number: int) -> Callable[[], None]:
        done.append(f"begin {number}")
        return lambda: done.append(f"end {number}")

    assert len(list(ordered(begin, range(3), 1))) == 3
    assert done == ["begin 0", "begin 1", "end 0", "begin 2", "end 1", "end 2"]
    assert list(ordered(begin, [], 1)) == []


def test_work_that_cannot_be_sent_is_inherited():
    held = [lambda number: number * 2]
    assert list(ordered(lambda number: lambda: held[0](number), range(3), 2)) == [0, 2, 4]


def test_only_a_few_chunks_are_held():
    taken = 0

    def chunks() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    made = ordered(slow_first, chunks(), 2)
    next(made)
    assert taken < 10
    made.close()  # type: ignore[attr-defined]


def test_an_error_of_the_work_is_the_one_that_is_raised():
    def fails(number: int) -> Callable[[], int]:
        raise ValueError(f"number {number}")

    with pytest.raises(ValueError, match="number 0"):
        list(ordered(fails, range(3), 2))


def test_a_killed_process_is_one_line():
    with pytest.raises(WorkerError, match=r"was killed \(memory\?\); FINERY_WORKERS=1"):
        list(ordered(lambda _: os.kill(os.getpid(), signal.SIGKILL), range(3), 2))


def test_how_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FINERY_WORKERS", raising=False)
    assert processes(1000) == 1
    assert processes(10**9) == min(len(os.sched_getaffinity(0)), parallel.MOST)
    monkeypatch.setenv("FINERY_WORKERS", "3")
    assert (processes(1000), processes(10**9)) == (1, 3)
    monkeypatch.setenv("FINERY_WORKERS", "many")
    with pytest.raises(WorkerError, match="FINERY_WORKERS: must be a number"):
        processes(10**9)


PROGRAM = """
import os, sys, time
from finery.data.tokens.parallel import ordered

def work(number):
    os.write(1, b"%d\\n" % os.getpid())  # a line at once
    time.sleep(600)

list(ordered(work, range(2), 2))
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_processes_die_with_the_one_that_started_them(end: signal.Signals):
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    try:
        children = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(map(alive, children))
        parent.send_signal(end)
        parent.wait(timeout=20)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    deadline = time.monotonic() + 20
    while any(map(alive, children)):
        assert time.monotonic() < deadline, "a process outlived the one that started it"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
