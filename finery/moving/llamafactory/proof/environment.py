"""LLaMA-Factory 0.9.5 in an environment of its own, made when it is first asked for."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from finery.moving.llamafactory.files.given import MovingError

NAMED = "FINERY_LLAMAFACTORY"
"""The variable that names an environment which has it already."""
STEPS = (
    ("install", "torch==2.13.0"),
    ("install", "-c", "{constraints}", "llamafactory==0.9.5"),
    ("uninstall", "-y", "torchvision", "torchaudio"),  # PyPI's do not load beside a CPU's torch
    ("install", "--no-deps", "torchaudio==2.11.0"),
)


def python(say: Callable[[str], None]) -> Path:
    """The interpreter that has it. Raises `MovingError` if it cannot be installed."""
    if named := os.environ.get(NAMED):
        found = Path(named) / "bin" / "python"
        if not found.exists():
            raise MovingError(f"{NAMED}: {named} has no bin/python; name the folder of a venv")
        return found
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "finery" / "llamafactory-0.9.5"
    if not folder.exists():
        say(f"installing LLaMA-Factory 0.9.5 into {folder}: some minutes, 2 GB")
        _install(folder)
    return folder / "bin" / "python"


def _install(folder: Path) -> None:
    """Whole or not at all."""
    try:
        _run(sys.executable, "-m", "venv", str(folder))
        constraints = folder / "constraints.txt"
        constraints.write_text("torch==2.13.0\n")
        for step in STEPS:
            words = [word.format(constraints=constraints) for word in step]
            _run(str(folder / "bin" / "python"), "-m", "pip", "--quiet", *words)
        for library in folder.glob("lib/python*/site-packages/torchaudio/lib/*.so"):
            library.unlink()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["failed without a word"]
        raise MovingError(f"LLaMA-Factory cannot be installed: {lines[-1]}; or set {NAMED}")
