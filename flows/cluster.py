"""The stages of a run on the workers of a Ray or Dask cluster, each in a checkout of its own."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from prefect import task
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner

from finery.checkout import clean_checkout, git
from finery.errors import UserError
from finery.params.resources import ResourcesParams
from finery.params.schema import load
from finery.pipeline.elsewhere import Results, Source, reasons_by_lock, run_elsewhere
from finery.pipeline.runs import Outcome
from finery.pipeline.status import StageStatus, status
from flows.stage_task import StageLog, outcome_of

WORK = Path("~/.cache/finery")
"""Where a worker keeps its checkouts and their DVC cache."""
CLUSTERS = {"ray": "prefect_ray", "dask": "prefect_dask"}


class ClusterError(UserError):
    """The project or the cluster is not ready for stages to run elsewhere."""


@task(name="stage", task_run_name="{stage}")
def elsewhere_task(stage: str, why: str, source: Source, before: Results) -> Any:
    """Run a stage on the worker that this task is on; its result is an `Outcome` and `Results`."""
    if not why:
        outcome = Outcome(stage, "cached")
        return Completed(name="Cached", message="unchanged", data=(outcome, Results()))
    log = StageLog(stage)
    log.line(f"{stage}: {why}")
    start = time.monotonic()
    try:
        status, left = run_elsewhere(stage, source, before, log.line, WORK)
    except UserError as error:
        return Failed(message=f"{error} (exit status {error.exit_status})")
    if status:
        return Failed(message=f"{log.error()} (exit status {log.exit_status(status)})")
    log.finish()
    outcome = Outcome(stage, "ran", why, time.monotonic() - start)
    return Completed(message=why, data=(outcome, left))


class Cluster:
    """Hands stages to workers, and gathers their entries of dvc.lock and their metrics.

    Workers check out the commit that `root` is at, pull inputs from the DVC remote and push
    outputs to it; nothing but dvc.lock and what git keeps comes back. The workers need Finery
    installed, and a Prefect server that they reach.
    """

    def __init__(
        self, root: Path, kind: Literal["ray", "dask"], address: str | None, repo: str | None
    ) -> None:
        self._root = root
        self._kind = kind
        self.runner = _runner(kind, address)
        self._source = Source(repo or _origin(root), _commit(root))
        self._driver = root / ".finery/cluster"
        self._left: dict[str, Results] = {}

    def prepare(self) -> list[str]:
        """Check out the commit here too, without any output: dvc.lock alone says what is stale."""
        clean_checkout(str(self._root), self._source.commit, self._driver)
        self._resources = load(self._driver / "params.yaml").resources
        return []

    def plan(self) -> list[StageStatus]:
        return status(self._driver)

    def submit(
        self,
        stage: StageStatus,
        outcomes: Mapping[str, Outcome],
        above: Sequence[PrefectFuture[Any]],
    ) -> PrefectFuture[Any]:
        """Start a stage whose upstream has ended; the cluster has it wait for room."""
        blocked = any(outcomes[name].result in ("failed", "blocked") for name in stage.after)
        why = "" if blocked else "; ".join(reasons_by_lock(stage.name, self._driver))
        before = Results(
            {name: entry for left in self._left.values() for name, entry in left.locked.items()},
            {name: data for left in self._left.values() for name, data in left.files.items()},
        )
        with _asking_for(self._kind, self._resources, stage.name if why else ""):
            return elsewhere_task.submit(stage.name, why, self._source, before, wait_for=above)

    def ended(self, stage: str, future: PrefectFuture[Any]) -> Outcome:
        """What became of a stage; what it left goes to `root` too."""
        if not future.state.is_completed():
            return outcome_of(stage, future.state)
        outcome, left = future.state.result()
        if left.locked:
            self._left[stage] = left
            left.write(self._driver)
            left.write(self._root)
        return outcome


def _runner(kind: str, address: str | None) -> TaskRunner[Any]:
    try:
        if kind == "ray":
            from prefect_ray import RayTaskRunner

            return RayTaskRunner(address=address)
        from prefect_dask import DaskTaskRunner

        return DaskTaskRunner(address=address)
    except ImportError:
        raise ClusterError(
            f"--engine {kind}: {CLUSTERS[kind]} is not installed; pip install 'finery[{kind}]'"
        ) from None


@contextmanager
def _asking_for(kind: str, resources: ResourcesParams, stage: str) -> Iterator[None]:
    """What a stage takes, in Ray's words. To Dask, a worker is a GPU: start one for each."""
    if kind == "dask":
        yield
        return
    import ray
    from prefect_ray import remote_options

    gpus = resources.num_gpus.get(stage.partition("@")[0], 0)
    with remote_options(num_gpus=gpus if ray.cluster_resources().get("GPU") else 0):
        yield


def _commit(root: Path) -> str:
    if changed := git(root, "status", "--porcelain", "--untracked-files=no"):
        files = ", ".join(line[2:].strip() for line in changed.splitlines()[:3])
        raise ClusterError(f"uncommitted changes ({files}); workers run a commit: commit them")
    return git(root, "rev-parse", "HEAD")


def _origin(root: Path) -> str:
    """The repository workers clone: that of origin, else this one, for workers on this machine."""
    asked = ["git", "-C", str(root), "config", "remote.origin.url"]
    found = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return found or str(root.absolute())
