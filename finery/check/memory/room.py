"""How much memory there is to train in: a GPU's, or what this process may have of the machine."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from finery.check.nvidia import cards
from finery.check.torch_build import torch_build

CGROUP = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
LIMITS = ("memory.max", "memory.limit_in_bytes")
UNLIMITED = 1 << 60


@dataclass(frozen=True)
class Room:
    """Bytes, and in words of what: this machine, or a card."""

    size: float
    of: str
    gpu: bool = False


def room() -> Room:
    """Of the GPU that training will take, if torch can use one; otherwise of this machine."""
    found, build = cards(), torch_build()
    usable = found.cards if found and build and build.cuda else []
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    if usable:
        index = int(wanted) if wanted.isdigit() and int(wanted) < len(usable) else 0
        if usable[index].total:
            return Room(usable[index].total, usable[index].name, gpu=True)
    return Room(main_memory(), "this machine")


def main_memory(own: Path = OWN, cgroup: Path = CGROUP) -> float:
    """Bytes of RAM: the machine's, or the least that a control group above this process allows."""
    total = float(psutil.virtual_memory().total)
    return min([total, *(limit for limit in _limits(own, cgroup) if limit < UNLIMITED)])


def _limits(own: Path, cgroup: Path) -> list[float]:
    """Of version 2, and of version 1, where memory has a hierarchy of its own.

    A line of /proc/self/cgroup is `number:controllers:path`; in a container the path may be one
    that only the host has, and the limit is at the top.
    """
    lines = own.read_text().splitlines() if own.is_file() else []
    places = {cgroup, cgroup / "memory"}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory") or "memory" in controllers.split(","):
            root = cgroup / "memory" if controllers else cgroup
            parts = Path(path.lstrip("/")).parts
            places |= {root.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)}
    files = [place / name for place in places for name in LIMITS]
    texts = [file.read_text().strip() for file in files if file.is_file()]
    return [float(text) for text in texts if text.isdigit()]
