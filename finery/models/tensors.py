"""What tensors a model folder holds, read from safetensors headers without loading a weight."""

import json
import re
import struct
from pathlib import Path
from typing import Any

IN_A_BLOCK = re.compile(r"(^|\.)\d+\.")
"""Whatever the list of blocks is called, a block has a number in its name: `model.layers.0.`,
`transformer.h.0.` (GPT-2, Falcon), `gpt_neox.layers.0.`, `transformer.blocks.0.` (MPT)."""


def tensors(model: Path) -> dict[str, dict[str, Any]]:
    """All tensors of a model by name: `dtype`, `shape` and `data_offsets` of each.

    Empty if there is no such model yet. Header format: huggingface.co/docs/safetensors.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(model.glob("*.safetensors")):
        found |= header(file)
    return found


def header(file: Path) -> dict[str, dict[str, Any]]:
    """The tensors of one file; none if its header is damaged (download checks that)."""
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
