"""GPTQModel prints megabytes of bars: they go to a file, one line of progress to the terminal."""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LAYER = re.compile(rb"[Ll]ayers? (\d+) of (\d+)|Quantizing layer (\d+)[^\d]+(\d+)")
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
    """Write the last layer that the log names to the terminal whenever it has changed."""
    last, offset = b"", 0
    while not done.wait(EVERY_SECONDS):
        with log.open("rb") as stream:
            stream.seek(offset)
            text = stream.read()
            offset += len(text)
        if (found := LAYER.findall(text)) and found[-1] != last:
            last = found[-1]
            at, of = [part.decode() for part in last if part]
            os.write(terminal, f"layer {at} of {of}\n".encode())
