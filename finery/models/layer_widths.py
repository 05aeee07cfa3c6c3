"""Layer widths, read from safetensors headers without loading a weight."""

import json
import struct
from pathlib import Path


def linear_widths(model: Path) -> set[int]:
    """Input widths of the linear layers inside the decoder blocks of a safetensors model.

    Empty if there is no such model yet. Header format: huggingface.co/docs/safetensors.
    """
    widths = set()
    for file in sorted(model.glob("*.safetensors")):
        for name, tensor in header(file).items():
            if ".layers." in name and name.endswith(".weight") and len(tensor["shape"]) == 2:
                widths.add(tensor["shape"][1])
    return widths


def undivided(model: Path, group_size: int) -> list[int]:
    """The widths of `model` that `group_size` does not divide."""
    return sorted(width for width in linear_widths(model) if width % group_size)


def header(file: Path) -> dict:
    """The tensors of a safetensors file by name: `dtype`, `shape` and `data_offsets` of each.

    None if the header is damaged (download checks that).
    """
    with file.open("rb") as stream:
        prefix = stream.read(8)
        if len(prefix) < 8 or (size := struct.unpack("<Q", prefix)[0]) > file.stat().st_size:
            return {}
        try:
            header = json.loads(stream.read(size))
        except ValueError:
            return {}
    if not isinstance(header, dict):
        return {}
    return {name: value for name, value in header.items() if name != "__metadata__"}
