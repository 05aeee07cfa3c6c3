"""All checks, side by side, each with a time limit: the doctor neither hangs nor crashes."""

import time
from collections.abc import Callable, Iterable
from contextlib import chdir
from functools import partial
from pathlib import Path
from threading import Thread

from finery.check import nvidia
from finery.doctor import dvc, dvc_locks, git, gpu, libraries, memory, network, prefect
from finery.doctor.disk import disk
from finery.doctor.finding import Finding, note
from finery.doctor.settings import elsewhere, is_project, settings
from finery.doctor.several_gpus import several_gpus
from finery.doctor.source import source
from finery.params.schema import Params

Check = Callable[[], Iterable[Finding]]
SECONDS = 15.0
"""What a check may take; those of the network give up by themselves after a few seconds."""
SECONDS_WITH_GPU = 90.0
"""Importing torch and waking a GPU can take a minute on a busy machine."""


def examine(root: Path = Path()) -> list[Finding]:
    """Everything worth knowing about running the pipeline of the project in `root` here.

    Reads and probes, and changes nothing. A check that fails itself, or does not end in its time,
    becomes a finding.
    """
    with chdir(root):
        if not is_project():
            return [elsewhere()]
        params, about_settings = settings()
        started = [(*_start(name, check), limit) for name, check, limit in _checks(params)]
        begun = time.monotonic()
        found = [_await(*each, begun=begun) for each in started]
    return about_settings + [finding for findings in found for finding in findings]


def _checks(params: Params | None) -> list[tuple[str, Check, float]]:
    """What does not need params.yaml is examined even if that is wrong."""
    configured: list[tuple[str, Check, float]] = []
    if params is not None:
        configured = [
            ("GPU", partial(_machine, params), SECONDS_WITH_GPU),
            ("disk", partial(disk, params), SECONDS),
            ("base model", partial(source, params), SECONDS),
        ]
    return [
        ("Python", libraries.python, SECONDS),
        ("libraries", libraries.libraries, SECONDS),
        *configured,
        ("proxy", network.proxy, SECONDS),
        ("git", git.git, SECONDS),
        ("DVC", dvc.graph, SECONDS),
        ("DVC remote", dvc.remote, SECONDS),
        ("DVC locks", dvc_locks.locks, SECONDS),
        ("Prefect", prefect.server, SECONDS),
        ("Prefect database", prefect.database, SECONDS),
    ]


def _machine(params: Params) -> list[Finding]:
    """The GPUs, and the memory of what the models will be on; both want nvidia-smi's answer."""
    cards = nvidia.cards()
    findings, usable = gpu.gpu(params, cards)
    if usable:
        findings += several_gpus(params, cards)
    return [*findings, *memory.memory(params, cards if usable else None)]


def _start(name: str, check: Check) -> tuple[str, Thread, list[Finding]]:
    found: list[Finding] = []

    def work() -> None:
        try:
            found.extend(check())
        except Exception as error:
            said = next(iter(str(error).splitlines()), "")
            found.append(_unknown(name, f"{type(error).__name__}: {said}"))

    thread = Thread(target=work, name=name, daemon=True)  # one that hangs ends with the process
    thread.start()
    return name, thread, found


def _await(
    name: str, thread: Thread, found: list[Finding], limit: float, *, begun: float
) -> list[Finding]:
    thread.join(max(0.0, begun + limit - time.monotonic()))
    if thread.is_alive():
        return [_unknown(name, f"no answer within {limit:.0f} s")]
    return found


def _unknown(name: str, why: str) -> Finding:
    return note(name, f"could not be examined ({why})", "look at it by hand; the rest stands")
