"""What is known to go wrong with several GPUs in one machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from finery.check.nvidia import Cards
from finery.doctor.finding import Finding, note
from finery.params.schema import Params

SMALL = 1 << 30


def several_gpus(
    params: Params, cards: Cards, shared: Path = Path("/dev/shm")
) -> Iterator[Finding]:
    """What fails a training over several cards, and settings that ask for more than there are.

    `shared` is where NCCL keeps its shared memory: 64 MB in a container, unless told otherwise.
    """
    if len(cards.cards) > 1:
        yield from _shared_memory(shared)
    yield from _asked(params, cards)


def _shared_memory(shared: Path) -> Iterator[Finding]:
    if shared.is_dir() and (size := shutil.disk_usage(shared).total) < SMALL:
        what = f"{shared} holds {size >> 20} MiB; NCCL and data loaders fail when it is full"
        yield note("shared memory", what, "start the container with --shm-size=8g or --ipc=host")


def _asked(params: Params, cards: Cards) -> Iterator[Finding]:
    asked = params.resources.accelerators
    if asked > len(cards.cards):
        what = f"resources.accelerators is {asked}, and this machine has {len(cards.cards)}"
        advice = f"set resources.accelerators: {len(cards.cards)}, or stages share a card's memory"
        yield note("resources", what, advice)
