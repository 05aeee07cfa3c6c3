"""GGUF files of models, made once and kept."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from finery.models.gguf.convert import convert
from finery.models.gguf.errors import TooLarge

Weights = Literal["auto", "f16", "f32", "bf16", "q8_0"]
PROJECT = Path("params.yaml")
SMALL = 1 << 24
"""Bytes of a file that is read to tell one folder from another; of larger ones, when it was
written."""
KEPT = 4


def gguf_of(folder: Path, weights: Weights, say: Callable[[str], None]) -> Path:
    """The model in `folder` as GGUF; `auto` is float16, or float32 if a weight is too large.

    Raises `GgufError` for what llama.cpp does not read.
    """
    kinds = ("f16", "f32") if weights == "auto" else (weights,)
    for kind in kinds:
        file = _cache() / f"{_identity(folder)}-{kind}.gguf"
        if not file.exists():
            say(f"{folder}: to {file}")
            try:
                convert(folder, file, kind, folder.name)
            except TooLarge:
                if kind == kinds[-1]:
                    raise
                continue
        os.utime(file)
        break
    _forget_others()
    return file


def _cache() -> Path:
    if PROJECT.is_file():
        return Path(".finery/gguf")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "finery/gguf"


def _identity(folder: Path) -> str:
    """What changes with the folder's files."""
    found = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if not file.is_file():
            continue
        state = file.stat()
        found.update(f"{file.name}\0{state.st_size}\0".encode())
        if file.suffix == ".safetensors" or state.st_size > SMALL:
            found.update(f"{state.st_mtime_ns}\0{file.resolve()}\0".encode())
        else:
            found.update(file.read_bytes())
    return found.hexdigest()[:32]


def _forget_others() -> None:
    """Keep those used last."""
    files = sorted(_cache().glob("*.gguf"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[KEPT:]:
        file.unlink(missing_ok=True)
