"""GPTQModel prints megabytes of bars: they go to a file, one line of progress to the terminal."""

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LAYER = re.compile(rb"Quantizing layer (\d+) of (\d+)")
EVERY_SECONDS = 5.0


@contextmanager
def logged(log: Path) -> Iterator[None]:
    """Send everything written to standard output and error to `log`; report the layer reached.

    Works on the file descriptors, so that C++ and worker threads are caught too.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    terminal, errors = os.dup(1), os.dup(2)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(log, terminal, done), daemon=True)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        watcher.start()
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(terminal, 1)
        os.dup2(errors, 2)
        done.set()
        watcher.join()
        for descriptor in (file, terminal, errors):
            os.close(descriptor)


def _watch(log: Path, terminal: int, done: threading.Event) -> None:
    """Write a line to the terminal whenever the log has come to another layer."""
    start, last, offset = time.monotonic(), None, 0
    while not done.wait(EVERY_SECONDS):
        with log.open("rb") as stream:
            stream.seek(offset)
            text = stream.read()
            offset += len(text)
        if (found := LAYER.findall(text)) and found[-1] != last:
            last = found[-1]
            line = _progress(*map(int, last), time.monotonic() - start)
            os.write(terminal, line.encode())


def _progress(layer: int, final: int, seconds: float) -> str:
    """The log counts layers from 0; what is done is known once the first one is."""
    each = seconds / layer if layer else 0
    left = f", {each:.1f} s each, {each * (final + 1 - layer):.0f} s left"
    return f"layer {layer + 1} of {final + 1}{left if layer else ''}\n"
