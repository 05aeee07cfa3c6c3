"""What is known to go wrong with several GPUs in one machine."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from finery.check.nvidia import Cards
from finery.doctor.finding import Finding, note
from finery.params.schema import Params

CONSUMER = re.compile(r"GeForce RTX [345]0\d\d")
NO_PEERS = ("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE")
SMALL = 1 << 30


def several_gpus(
    params: Params, cards: Cards, shared: Path = Path("/dev/shm")
) -> Iterator[Finding]:
    """Settings that hang a training over several cards, or that ask for more than there are.

    `shared` is where NCCL keeps its shared memory: 64 MB in a container, unless told otherwise.
    """
    if len(cards.cards) > 1:
        yield from _hangs(cards)
        yield from _shared_memory(shared)
    yield from _asked(params, cards)


def _hangs(cards: Cards) -> Iterator[Finding]:
    """Hangs of several cards at once: NVIDIA/nccl-tests#117, hiyouga/LLaMA-Factory#3282.

    GeForce cards since the RTX 40 have no peer-to-peer access, and some drivers claim it.
    """
    consumer = next((card.name for card in cards.cards if CONSUMER.search(card.name)), None)
    missing = [name for name in NO_PEERS if os.environ.get(name) != "1"]
    if consumer and missing:
        yield note(
            "NCCL",
            f"{len(cards.cards)} x {consumer}: a training over several (torchrun) may hang or fail",
            f"before torchrun: export {' '.join(f'{name}=1' for name in missing)};"
            " a run on one card needs nothing",
        )


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
