"""Run a command, and watch the memory of it and of all processes that it starts."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

EVERY = 0.2


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[str, float]:
    """The last line of a command's output, and its seconds. Raises `CalledProcessError`."""
    start = time.monotonic()
    process = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )
    seconds = time.monotonic() - start
    if process.returncode:
        print(process.stderr[-2000:])
    process.check_returncode()
    return process.stdout.splitlines()[-1], seconds


def peak(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """The most memory in MB that a command and its children held; shared pages count once."""
    most = 0.0
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdout=output, stderr=output
        )
        while process.poll() is None:
            most = max(most, sum(map(_pss, _tree(process.pid))))
            time.sleep(EVERY)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return most / 1024


def _tree(process: int) -> list[int]:
    threads = Path(f"/proc/{process}/task").glob("*/children")
    children = [int(child) for thread in threads for child in _read(thread).split()]
    return [process, *(each for child in children for each in _tree(child))]


def _pss(process: int) -> int:
    lines = _read(Path(f"/proc/{process}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _read(file: Path) -> str:
    """Empty for a process that has just ended."""
    try:
        return file.read_text()
    except OSError:
        return ""
