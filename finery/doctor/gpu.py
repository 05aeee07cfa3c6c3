"""Whether torch can use the GPUs here, and what is known to hang several of them."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from finery.doctor.finding import Finding, note, ok, problem
from finery.doctor.nvidia import Cards
from finery.doctor.torch_build import TorchBuild, device_trouble, torch_build
from finery.params.schema import Params

OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""The oldest Linux driver for each CUDA: docs.nvidia.com/deploy/cuda-compatibility."""
WHEELS = {13: "cu130", 12: "cu126"}
"""The builds of torch 2.13, newest CUDA first: its release matrix in pytorch's RELEASE.md."""
CONSUMER = re.compile(r"GeForce RTX [345]0\d\d")
SMALL_SHM = 1 << 30
NO_PEERS = ("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE")
SLOW = "small models train on a CPU; for larger ones use a machine with an NVIDIA GPU"


def gpu(params: Params, cards: Cards | None) -> tuple[list[Finding], bool]:
    """What there is to say about the GPUs, and whether torch can compute on them."""
    build = torch_build()
    if build is None:  # the libraries' check says so
        return [], False
    if cards is None:
        found = [ok("GPU", f"AMD, by torch {build.version}")] if build.hip else _none(build)
        return [*found, *(() if build.hip else _precision(params))], False
    findings = list(_unusable(cards, build))
    if findings:
        return [*findings, *_precision(params)], False
    names = ", ".join(sorted({card.name for card in cards.cards}))
    what = f"{len(cards.cards)} x {names}, driver {cards.driver}, torch for CUDA {build.cuda}"
    return [ok("GPU", what), *_several(cards), *_resources(params, cards)], True


def _none(build: TorchBuild) -> list[Finding]:
    flags = Path("/proc/cpuinfo")
    fast = flags.is_file() and "_bf16" in flags.read_text()
    bf16 = "has" if fast else "lacks"
    what = f"none: everything runs on the CPU, in float32 (this one {bf16} bf16 instructions)"
    return [note("GPU", f"{what}; torch {build.version}", SLOW)]


def _unusable(cards: Cards, build: TorchBuild) -> Iterator[Finding]:
    """Why the stages would run on the CPU although there are cards; nothing if they would not."""
    runs = "so everything runs on the CPU"
    if cards.trouble:
        advice = "load the NVIDIA driver or reboot; in a container, start it with --gpus all"
        yield note("GPU", f"{cards.trouble}, {runs}", advice)
    elif build.cuda is None:
        what = f"{cards.cards[0].name}, but torch {build.version} is a build for the CPU, {runs}"
        yield note("GPU", what, _wheel(cards, build))
    elif _major(cards.driver) < (oldest := OLDEST_DRIVER.get(_major(build.cuda), 0)):
        known = f" (CUDA {cards.cuda})" if cards.cuda else ""
        yield note(
            "GPU",
            f"driver {cards.driver}{known} is too old for torch built for CUDA {build.cuda},"
            f" which needs {oldest} or newer, {runs}",
            f"update the driver, or {_wheel(cards, build)}",
        )
    elif trouble := device_trouble():
        yield problem(
            "GPU",
            f"torch {build.version} fails on {cards.cards[0].name}: {trouble}",
            "cards older than the RTX 20 need the CUDA 12.6 build:"
            f" {_pip(build, 'cu126')}; or CUDA_VISIBLE_DEVICES=-1 hides the card",
        )


def _wheel(cards: Cards, build: TorchBuild) -> str:
    """The newest build of torch that the driver can run."""
    for cuda, wheel in WHEELS.items():
        if _major(cards.driver) >= OLDEST_DRIVER[cuda]:
            return _pip(build, wheel)
    return f"update the driver to {OLDEST_DRIVER[13]} or newer, then {_pip(build, 'cu130')}"


def _pip(build: TorchBuild, wheel: str) -> str:
    version = build.version.partition("+")[0]
    index = f"https://download.pytorch.org/whl/{wheel}"
    return f"pip install torch=={version}+{wheel} --extra-index-url {index}"


def _precision(params: Params) -> Iterator[Finding]:
    chosen = params.train.precision
    if chosen == "bf16":  # transformers refuses it
        what = "train.precision is bf16, which training refuses without a GPU"
        yield problem("precision", what, "set train.precision: auto in params.yaml")
    elif chosen == "fp16":
        what = "train.precision is fp16, which a CPU only emulates: slow, and losses overflow"
        yield note("precision", what, "set train.precision: auto in params.yaml")


def _several(cards: Cards) -> Iterator[Finding]:
    """Hangs of several cards at once: NVIDIA/nccl-tests#117, hiyouga/LLaMA-Factory#3282.

    GeForce cards since the RTX 40 have no peer-to-peer access, and some drivers claim it.
    """
    if len(cards.cards) < 2:
        return
    consumer = next((card.name for card in cards.cards if CONSUMER.search(card.name)), None)
    missing = [name for name in NO_PEERS if os.environ.get(name) != "1"]
    if consumer and missing:
        yield note(
            "NCCL",
            f"{len(cards.cards)} x {consumer}: a training over several (torchrun) may hang or fail",
            f"before torchrun: export {' '.join(f'{name}=1' for name in missing)};"
            " a run on one card needs nothing",
        )
    shared = Path("/dev/shm")
    if shared.is_dir() and (size := shutil.disk_usage(shared).total) < SMALL_SHM:
        what = f"/dev/shm holds {size >> 20} MiB; NCCL and data loaders fail when it is full"
        yield note("shared memory", what, "start the container with --shm-size=8g or --ipc=host")


def _resources(params: Params, cards: Cards) -> Iterator[Finding]:
    asked = params.resources.accelerators
    if asked > len(cards.cards):
        what = f"resources.accelerators is {asked}, and this machine has {len(cards.cards)}"
        advice = f"set resources.accelerators: {len(cards.cards)}, or stages share a card's memory"
        yield note("resources", what, advice)


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0
