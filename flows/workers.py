"""The workers of a Ray or Dask cluster: reached, and asked for what a stage takes."""

import importlib.util
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from prefect.settings import PREFECT_API_URL
from prefect.task_runners import TaskRunner

from finery.errors import UserError
from finery.params.resources import ResourcesParams

Kind = Literal["ray", "dask"]
PATIENCE = 10.0
OBJECT_STORE = 100 * 1024**2
"""Bytes; no artefact goes through it."""


class ClusterError(UserError):
    """The project or the cluster is not ready for stages to run elsewhere."""


@dataclass(frozen=True)
class Worker:
    """A Ray node or a Dask worker, and what it has for stages."""

    host: str
    cpus: int
    gpus: int


def check(kind: Kind, address: str | None) -> None:
    """Raises `ClusterError` if the library is missing or nothing answers at the address."""
    if importlib.util.find_spec(f"prefect_{kind}") is None:
        raise ClusterError(
            f"--engine {kind}: prefect-{kind} is not installed; pip install 'finery[{kind}]'"
        )
    if address is None or address in ("auto", "local"):
        return
    try:
        where = urlsplit(f"//{address.rpartition('://')[2]}")
        with socket.create_connection((where.hostname, where.port), PATIENCE):
            pass
    except (OSError, ValueError) as error:
        raise ClusterError(f"no {kind.title()} at {address}: {error}; is it started?") from None


@contextmanager
def connected(kind: Kind, address: str | None) -> Iterator[TaskRunner[Any]]:
    """Prefect's runner of tasks on the cluster, or on a temporary one here without an address.

    Raises `ClusterError` if it cannot be joined, or its workers cannot reach Prefect's server.
    """
    runner = _ray(address) if kind == "ray" else _dask(address)
    try:
        runner.__enter__()
        found = workers(kind, runner)
    except (Exception, SystemExit) as error:  # Ray and Dask raise many kinds; Ray exits, too
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ClusterError(f"{kind.title()} at {address or 'this machine'}: {said[0]}") from None
    try:
        _check_server(found)
        yield runner
    finally:
        runner.__exit__(None, None, None)


def workers(kind: Kind, runner: TaskRunner[Any]) -> list[Worker]:
    """Those that the cluster has now."""
    if kind == "dask":
        found = runner.client.scheduler_info(n_workers=-1)["workers"].values()
        return [Worker(w["host"], w["nthreads"], int(w["resources"].get("GPU", 0))) for w in found]
    import ray

    nodes = [(n["NodeManagerAddress"], n["Resources"]) for n in ray.nodes() if n["Alive"]]
    return [Worker(host, int(has.get("CPU", 0)), int(has.get("GPU", 0))) for host, has in nodes]


def taking(
    kind: Kind, stage: str, resources: ResourcesParams, found: Sequence[Worker]
) -> AbstractContextManager[Any]:
    """Within it, a task is submitted with what its stage takes."""
    cpus, gpus = share(stage, resources, found)
    if kind == "ray":
        from prefect_ray.context import remote_options

        # Prefect knows no second attempt: the next run is it.
        return remote_options(num_cpus=cpus, num_gpus=gpus, max_retries=0)
    import dask

    return dask.annotate(resources={"GPU": gpus}) if gpus else nullcontext()


def share(stage: str, resources: ResourcesParams, found: Sequence[Worker]) -> tuple[int, int]:
    """The CPUs and GPUs of a worker that a stage takes, as params.yaml counts GPUs.

    Each GPU brings its part of the CPUs. Where there is no GPU, a stage that would take one takes
    a whole worker. Raises `ClusterError` if no worker has as many GPUs.
    """
    name = stage.partition("@")[0]
    gpus = resources.num_gpus.get(name, 0)
    most = max((worker.gpus for worker in found), default=0)
    if not gpus:
        return 1, 0
    if not most:
        return min((worker.cpus for worker in found if worker.cpus), default=1), 0
    if gpus > most:
        raise ClusterError(
            f"{name}: takes {gpus} GPUs and no worker has more than {most};"
            f" lower resources.num_gpus.{name}"
        )
    able = [worker for worker in found if worker.gpus >= gpus]
    return max(1, min(worker.cpus * gpus // worker.gpus for worker in able)), gpus


def _ray(address: str | None) -> TaskRunner[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from prefect_ray import RayTaskRunner

    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address:
        return RayTaskRunner(address, quiet)
    own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
    return RayTaskRunner("local", quiet | own)


def _dask(address: str | None) -> TaskRunner[Any]:
    from prefect_dask import DaskTaskRunner

    if address:
        return DaskTaskRunner(address=address)
    one = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    return DaskTaskRunner(cluster_kwargs=one)


def _check_server(found: Sequence[Worker]) -> None:
    """A server that listens on this machine alone serves its workers only."""
    url = PREFECT_API_URL.value() or ""
    afar = [worker.host for worker in found if not _is_here(worker.host)]
    if afar and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
        raise ClusterError(
            f"workers on {afar[0]} cannot reach Prefect's server at {url};"
            " set PREFECT_API_URL to one that they reach"
        )


def _is_here(host: str) -> bool:
    """An address can be listened at on the machine that has it, and on no other."""
    try:
        with socket.socket() as listener:
            listener.bind((host, 0))
    except OSError:
        return False
    return True
