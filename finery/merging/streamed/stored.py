"""Tensors in safetensors files, read a few rows at a time and never mapped into memory."""

import json
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

from finery.models.tensors import header

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
DTYPES = {
    "F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip
"""What torch calls the types of the format: huggingface.co/docs/safetensors."""
BLOCK = 2**20
"""How many numbers are worked on at a time: 4 MB of float32, which a CPU's cache holds."""


class Stored:
    """The tensors of some safetensors files, by their names."""

    def __init__(self, files: Iterable[Path]) -> None:
        from safetensors import safe_open

        self._of: dict[str, dict[str, Any]] = {}
        self._in: dict[str, Any] = {}
        for file in files:
            opened = safe_open(file, framework="pt", backend="pread")
            self._of |= (inside := header(file))
            self._in |= dict.fromkeys(inside, opened)

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __contains__(self, name: object) -> bool:
        return name in self._of

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._of[name]["shape"])

    def dtype(self, name: str) -> Any:
        """torch's type of a tensor."""
        import torch

        return getattr(torch, DTYPES[self._of[name]["dtype"]])

    def rows(self, name: str, begin: int, end: int) -> Any:
        """Some rows of a tensor (of what its first dimension counts), as they are stored."""
        if not self.shape(name):
            return self._in[name].get_tensor(name)
        return self._in[name].get_slice(name)[begin:end]

    def tensor(self, name: str) -> Any:
        return self._in[name].get_tensor(name)

    def empty(self, name: str) -> Any:
        """A tensor of the same type and shape without memory."""
        import torch

        return torch.empty(self.shape(name), dtype=self.dtype(name), device="meta")


def of_model(model: Path) -> Stored:
    """The weights of a model folder: of the files that transformers would load."""
    index = model / INDEX
    if (model / SINGLE).exists() or not index.exists():
        return Stored([model / SINGLE])
    files = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    return Stored(model / name for name in sorted(set(files)))


def blocks(shape: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The rows of a tensor in blocks of about `BLOCK` numbers: where each begins and ends."""
    rows = shape[0] if shape else 1
    step = max(1, BLOCK // max(1, prod(shape[1:])))
    return ((begin, min(begin + step, rows)) for begin in range(0, rows, step))
