"""Several processes that train a step together: how many, how they start and how they end."""

import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from finery.errors import PipelineError, UserError
from finery.params.engine import ABREAST, SHARED
from finery.params.pace import samples_of_a_step
from finery.params.step import StepParams
from finery.stage import leash

CONSUMER = re.compile(r"GeForce RTX [345]0\d\d")
NO_PEERS = ("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE")
"""What has NCCL leave alone: access from card to card, and InfiniBand."""


class ProcessError(UserError):
    """The step cannot be trained by that many processes."""


class LostProcess(PipelineError):
    """One of the processes ended without a word, and the others with it."""


def processes_for(params: StepParams, wanted: int | None) -> int:
    """How many processes of this machine train the step, one a GPU; 1: this one alone does.

    `wanted` is resources.processes; None: as many as there are GPUs, and as can share a step
    evenly. Without a GPU several train only where both settings ask for it. Raises
    `ProcessError` for more than there are GPUs, or than can share a step.
    """
    import torch

    gpus = torch.cuda.device_count()
    kind, whole = params.distributed, samples_of_a_step(params)
    if "WORLD_SIZE" in os.environ or kind == "none" or (kind == "auto" and not gpus):
        return 1  # a launcher has started us, or there is nothing to start
    if params.method not in ABREAST or params.tuner.type not in SHARED:
        return 1
    if wanted is None:
        return max(count for count in range(1, max(gpus, 1) + 1) if whole % count == 0)
    if gpus and wanted > gpus:
        raise ProcessError(f"resources.processes: {wanted}, and there are {gpus} GPUs; take fewer")
    if whole % wanted:
        raise ProcessError(
            f"resources.processes: {wanted} cannot share the {whole} samples of a step of"
            f" {params.key} evenly; take a number that divides {whole}, or another"
            " effective_batch_size"
        )
    return wanted


def together(count: int, work: Callable[..., None], *given: Any, start_method: str = "") -> None:
    """Have `work(*given)` done by `count` processes of this machine, which find each other.

    They end with this one, however it ends, and when one of them fails; its error is raised here.
    """
    if count == 1 or "WORLD_SIZE" in os.environ:
        return work(*given)
    import torch
    from torch.multiprocessing import ProcessExitedException, start_processes

    gpus = torch.cuda.is_available()
    spare_consumer_cards(
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if gpus else []
    )
    store, where = _meeting_place()
    sys.stdout.flush()
    method = start_method or ("spawn" if gpus else "fork")  # CUDA does not outlive a fork
    failures = torch.multiprocessing.get_context(method).SimpleQueue()
    settings = (os.getpid(), count, where, failures, work, given)
    try:
        start_processes(_member, settings, count, start_method=method)
    except ProcessExitedException as error:
        if not failures.empty():
            raise failures.get() from None
        raise LostProcess(f"a process of {count} has ended: {error}") from None
    finally:
        del store  # whose server ends with it
    return None


def spare_consumer_cards(names: list[str]) -> None:
    """Have NCCL do without what hangs several GeForce cards, and say so; what is set stays.

    NVIDIA/nccl-tests#117, hiyouga/LLaMA-Factory#3282: some drivers claim peer-to-peer access
    that cards since the RTX 40 have not.
    """
    card = next((name for name in names if len(names) > 1 and CONSUMER.search(name)), None)
    unset = [name for name in NO_PEERS if name not in os.environ]
    if card and unset:
        os.environ.update(dict.fromkeys(unset, "1"))
        print(f"{len(names)} x {card}: {' and '.join(unset)} set to 1, or NCCL may hang")


def _meeting_place() -> tuple[Any, dict[str, str]]:
    """The store by which processes find each other, and the environment that tells them of it."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, None, True, timedelta(minutes=30), wait_for_workers=False)
    return store, {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0",
    }  # fmt: skip


def _member(
    local: int,
    parent: int,
    count: int,
    where: dict[str, str],
    failures: Any,
    work: Callable[..., None],
    given: tuple[Any, ...],
) -> None:
    """One of the processes; the first of all prints, the others are silent."""
    # A signal must end it even while it waits for the others inside of a library.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the first process, and so this one
    if not leash.hold(parent):
        os._exit(1)
    import torch

    each, all_of_them = str(local), str(count)
    os.environ.update(where)
    os.environ.update(
        RANK=each, LOCAL_RANK=each, WORLD_SIZE=all_of_them, LOCAL_WORLD_SIZE=all_of_them
    )
    if local:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if torch.cuda.is_available():
        torch.cuda.set_device(local)  # where libraries load to that quantize
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // count))
    try:
        work(*given)
    except (UserError, PipelineError) as error:
        failures.put(error)
        sys.stdout.flush()
        os._exit(error.exit_status)
    finally:
        sys.stdout.flush()
    _part()


def _part() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
