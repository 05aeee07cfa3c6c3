"""How long `finery chat` takes from its start to the first token of an answer.

    python bench/chat.py [VARIANT] [--runs N]

Whole processes of `finery chat VARIANT --once QUESTION` (default: base), whose standard output is
watched for the first letter: the median of N runs in turn, after one that fills the caches, with
the CPU seconds that a process takes in all. Run it on an idle machine, in a project whose model is
there (`dvc repro download`).
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "What is the capital of France?"
BOUND = 4.0
LIBRARIES = ("torch", "transformers", "tokenizers", "typer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", nargs="?", default="base")
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f};", end=" ")
    print(f"Python {platform.python_version()},", *(f"{x} {version(x)}" for x in LIBRARIES))
    measured = [first_token(asked.variant) for _ in range(asked.runs + 1)][1:]
    first, spent = (statistics.median(each) for each in zip(*measured, strict=True))
    print(f"first token of {asked.variant}: {first:.1f} s (bound: {BOUND:g} s); {spent:.1f} CPU s")


def first_token(variant: str) -> tuple[float, float]:
    """Seconds to the first letter on standard output, and CPU seconds of the whole process."""
    command = [sys.executable, "-m", "finery.cli", "chat", variant, "--once", QUESTION]
    before, start = _cpu(), time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--max-new-tokens", "2"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        letter = process.stdout.read(1)
        seconds = time.perf_counter() - start
        process.stdout.read()
    if process.returncode or not letter.strip():
        sys.exit(f"{' '.join(command)}: no answer; see what it says")
    return seconds, _cpu() - before


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
