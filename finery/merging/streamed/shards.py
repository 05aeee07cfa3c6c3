"""A model folder's safetensors files, written a few rows at a time.

The bytes are those that transformers' save_pretrained writes of the same weights: the same files,
the same order within each, the same index.
"""

import json
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from finery.models.stored import DTYPES, INDEX

SHARD = "4GB"
NAMES = "model{suffix}.safetensors"
ORDER = (
    "U64", "I64", "F64", "U32", "I32", "F32", "BF16", "F16", "U16", "I16", "F8_E8M0", "F8_E4M3",
    "F8_E5M2", "I8", "U8", "BOOL",
)  # fmt: skip
"""How tensors follow one another in a file, by their types, as safetensors has it; then by name."""


class Written:
    """The files of a model, each in its place once all of its tensors are written.

    `tensors` are what is to be written, by name, in order: of the types and shapes that count, and
    without memory (on the device meta).
    """

    def __init__(self, folder: Path, tensors: Mapping[str, Any], parameters: int) -> None:
        from huggingface_hub import split_torch_state_dict_into_shards

        split = split_torch_state_dict_into_shards(
            dict(tensors), filename_pattern=NAMES, max_shard_size=SHARD
        )
        self._folder, self._tensors, self._parameters = folder, tensors, parameters
        self._shards, self._metadata = split.filename_to_tensors, split.metadata
        self._index = split.tensor_to_filename if split.is_sharded else None
        self._at: dict[str, tuple[int, int]] = {}
        self._left: dict[str, int] = {}
        self._open: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for file, names in self._shards.items():
            header, places = _header({name: self._tensors[name] for name in names})
            partial = self._folder / f".partial-{file}"
            self._open[file] = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            _write(self._open[file], header, 0)
            self._left[file] = sum(end - begin for begin, end in places.values())
            self._at |= {n: (self._open[file], len(header) + at) for n, (at, _) in places.items()}
        self._file_of = {name: file for file, names in self._shards.items() for name in names}
        return self

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def dtype(self, name: str) -> Any:
        """torch's type in which a tensor is written."""
        return self._tensors[name].dtype

    def put(self, name: str, begin: int, rows: Any) -> None:
        """Write some rows of a tensor, the first of which is `begin`, in its type."""
        import torch

        tensor, (file, at) = self._tensors[name], self._at[name]
        width = prod(tensor.shape[1:]) * tensor.itemsize
        content = rows.contiguous().reshape(-1).view(torch.uint8).numpy()
        _write(file, content, at + begin * width)
        self._left[self._file_of[name]] -= len(content)

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        for file, opened in self._open.items():
            os.close(opened)
            partial = self._folder / f".partial-{file}"
            if kind is not None:
                partial.unlink()
            elif self._left[file]:
                raise AssertionError(f"{file}: {self._left[file]} bytes are not written")
            else:
                partial.chmod(0o644)
                partial.rename(self._folder / file)
        if kind is None and self._index is not None:
            said = {"total_parameters": self._parameters, **self._metadata}
            index = {"metadata": said, "weight_map": self._index}
            text = json.dumps(index, indent=2, sort_keys=True) + "\n"
            (self._folder / INDEX).write_text(text, encoding="utf-8")


def _header(tensors: Mapping[str, Any]) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The beginning of a file, and where after it each tensor begins and ends.

    Format: huggingface.co/docs/safetensors.
    """
    kinds = {torch_name: kind for kind, torch_name in DTYPES.items()}
    kind_of = {
        name: kinds[str(each.dtype).removeprefix("torch.")] for name, each in tensors.items()
    }
    said: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    places, at = {}, 0
    for name in sorted(tensors, key=lambda name: (ORDER.index(kind_of[name]), name)):
        places[name] = (at, at := at + tensors[name].numel() * tensors[name].itemsize)
        said[name] = {
            "dtype": kind_of[name],
            "shape": list(tensors[name].shape),
            "data_offsets": list(places[name]),
        }
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, places


def _write(file: int, content: Any, at: int) -> None:
    left = memoryview(content)
    while left:
        count = os.pwrite(file, left, at)
        left, at = left[count:], at + count
