"""Tensors in safetensors files, read a few rows at a time and never mapped into memory."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from finery.errors import UserError
from finery.models.tensors import header

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
DTYPES = {
    "F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
    "U64": "uint64", "U32": "uint32", "U16": "uint16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
}  # fmt: skip
"""What torch calls the types of the format: huggingface.co/docs/safetensors."""
BLOCK = 2**20
"""How many numbers are worked on at a time: 4 MB of float32, which a CPU's cache holds."""


class Buffer:
    """Memory for a block that is used again for the next: new memory costs more than the sum."""

    def __init__(self) -> None:
        self._flat: dict[Any, Any] = {}

    def of(self, shape: Sequence[int], dtype: Any) -> Any:
        """A tensor of a shape, of any numbers, until it is asked for another of its type."""
        import torch

        size = prod(shape)
        if dtype not in self._flat or len(self._flat[dtype]) < size:
            self._flat[dtype] = torch.empty(max(size, BLOCK), dtype=dtype)
        return self._flat[dtype][:size].view(*shape)


class StoredError(UserError):
    """A file of weights is cut off."""


class Stored:
    """The tensors of some safetensors files, by their names.

    Format: huggingface.co/docs/safetensors. Its library reads no part of a tensor without mapping
    the file, the pages of which count as memory.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._buffer = Buffer()
        self._of: dict[str, dict[str, Any]] = {}
        self._in: dict[str, tuple[BinaryIO, int]] = {}
        for file in files:
            _insist_on_whole(file)
            opened = file.open("rb", buffering=0)
            begin = 8 + int.from_bytes(opened.read(8), "little")
            for name, tensor in header(file).items():
                self._of[name] = tensor
                self._in[name] = (opened, begin + tensor["data_offsets"][0])

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
        """Some rows of a tensor (of what its first dimension counts), as they are stored.

        They are there until others are asked for.
        """
        import torch

        shape, (file, at) = self.shape(name), self._in[name]
        if shape:
            begin, end = min(begin, shape[0]), min(end, shape[0])
            shape = (end - begin, *shape[1:])
        found = self._buffer.of(shape, self.dtype(name))
        at += begin * prod(shape[1:]) * found.itemsize
        left = memoryview(found.reshape(-1).view(torch.uint8).numpy())
        while left:
            if not (count := os.preadv(file.fileno(), [left], at)):
                raise StoredError(f"{file.name}: ends within {name}; fetch or make it again")
            left, at = left[count:], at + count
        return found

    def empty(self, name: str) -> Any:
        """A tensor of the same type and shape without memory."""
        import torch

        return torch.empty(self.shape(name), dtype=self.dtype(name), device="meta")


def _insist_on_whole(file: Path) -> None:
    """Raises `StoredError` if a file's header is damaged, or does not account for all of it."""
    from safetensors import SafetensorError, safe_open

    try:
        safe_open(file, framework="pt")
    except SafetensorError as error:
        raise StoredError(f"{file}: no whole file of weights ({error}); make it again") from None


def of_model(model: Path) -> Stored:
    """The weights of a model folder: of the files that transformers would load."""
    index = model / INDEX
    if (model / SINGLE).exists() or not index.exists():
        return Stored([model / SINGLE])
    files = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    return Stored(model / name for name in sorted(set(files)))


def blocks(shape: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The rows of a tensor in even blocks of `BLOCK` numbers at most: where each begins and ends.

    A single row is never cut. Even, since what is computed of few rows may be rounded otherwise.
    """
    rows = shape[0] if shape else 1
    count = -(-rows * prod(shape[1:]) // BLOCK) or 1
    edges = [rows * number // count for number in range(count + 1)]
    return ((begin, end) for begin, end in pairwise(edges) if begin < end)


def whole(read: Callable[[int, int], Any], shape: Sequence[int], dtype: Any) -> Any:
    """All rows of a tensor, put together from blocks."""
    import torch

    made = torch.empty(tuple(shape), dtype=dtype)
    for begin, end in blocks(shape):
        if shape:
            made[begin:end] = read(begin, end)
        else:
            made.copy_(read(begin, end))
    return made
