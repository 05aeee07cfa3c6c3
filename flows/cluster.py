"""The stages of a run on the workers of a Ray or Dask cluster, each in a checkout of its own."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner

from finery.errors import UserError
from finery.git import answer, check_root
from finery.params.schema import load
from finery.pipeline.checkout import clean_checkout, git
from finery.pipeline.elsewhere import (
    Results,
    Source,
    data_within,
    lock_and_kept_by_git,
    pull,
    results,
    run_elsewhere,
)
from finery.pipeline.runs import Outcome
from finery.pipeline.status import StageStatus, reasons_by_lock, status
from finery.upstream.storage import cache_folder, has_remote
from flows.stage_task import StageLog, outcome_of, stage_task
from flows.workers import ClusterError, Kind, check, connected, taking, workers

WORK = "~/.cache/finery"
"""Where a worker keeps its checkouts and their DVC cache, unless its FINERY_WORK says."""
DRIVER = Path(".finery/cluster")
LOST = "its worker was lost (killed, shut down, or not the same Finery); see its log, run it again"


@task(name="stage", task_run_name="{stage}", cache_policy=NO_CACHE, persist_result=False)
def elsewhere_task(stage: str, why: str, source: Source, before: Results) -> Any:
    """Run a stage on the worker that this task is on; its result is an `Outcome` and `Results`."""
    log = StageLog(stage, why)
    start = time.monotonic()
    work = Path(os.environ.get("FINERY_WORK") or WORK).expanduser()
    try:
        exit_status, left = run_elsewhere(stage, source, before, log.line, work)
    except UserError as error:
        return Failed(message=f"{error} (exit status {error.exit_status})")
    except OSError as error:
        return Failed(message=f"{error.filename}: {error.strerror} (exit status 1)")
    if exit_status:
        return Failed(message=f"{log.error()} (exit status {log.exit_status(exit_status)})")
    log.finish()
    result = "restored" if log.restored else "ran"
    return Completed(
        message=why, data=(Outcome(stage, result, why, time.monotonic() - start), left)
    )


class Cluster:
    """Hands stages to workers, and gathers their entries of dvc.lock and their metrics.

    Workers check out the commit that `root` is at, pull inputs from the DVC remote and push
    outputs to it; nothing but dvc.lock and what git keeps comes back. The cluster is joined when
    the first stage has to run, and left at the end. Raises `ClusterError` for what is not ready.
    """

    def __init__(self, root: Path, kind: Kind, address: str | None, repo: str | None) -> None:
        check(kind, address)
        check_root(root, "workers clone it")
        _check_remote(root)
        self._root = root
        self._kind = kind
        self._address = address
        self._source = Source(repo or _origin(root), _commit(root))
        self._driver = root / DRIVER
        self._sent: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def prepare(self) -> list[str]:
        """Check out the commit here too, without any output: dvc.lock alone says what is stale."""
        cache = cache_folder(self._root)
        clean_checkout(self._source.repo, self._source.commit, self._driver, cache)
        pull(self._driver, data_within(self._driver))
        self._before = results(self._root)
        self._before.write(self._driver)
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
        ended = [future.state for future in above]
        blocked = any(outcomes[name].result in ("failed", "blocked") for name in stage.after)
        why = "" if blocked else "; ".join(reasons_by_lock(stage.name, self._driver))
        if not why:  # no worker needs to hear of it
            return stage_task.submit(stage.name, self._root, True, {}, wait_for=ended)
        given = {
            "stage": stage.name, "why": why, "source": self._source, "before": self._before,
        }  # fmt: skip
        self._sent.add(stage.name)
        found = workers(self._kind, self._runner)
        with taking(self._kind, stage.name, self._resources, found):
            return self._runner.submit(elsewhere_task, given, wait_for=ended)

    def ended(self, stage: str, future: PrefectFuture[Any]) -> Outcome:
        """What became of a stage; what it left goes to `root` too."""
        state = future.state
        if stage not in self._sent or state.is_failed():
            return outcome_of(stage, state)
        if not state.is_completed():  # Prefect hears no more of it
            return Outcome(stage, "failed", LOST, exit_status=1)
        outcome, left = state.result()
        if self._kind == "dask":  # else it runs again if the worker that keeps its result is lost
            future.wrapped_future.release()
        self._before |= left
        left.write(self._driver)
        left.write(self._root)
        return outcome

    @cached_property
    def _runner(self) -> TaskRunner[Any]:
        return self._stack.enter_context(connected(self._kind, self._address))


def _commit(root: Path) -> str:
    """The commit that workers check out; what a run itself writes may differ from it."""
    commit = git(root, "rev-parse", "HEAD")
    changed = set(git(root, "diff", "--name-only", "HEAD").splitlines())
    if changed := sorted(changed - lock_and_kept_by_git(root)):
        raise ClusterError(f"uncommitted changes: {', '.join(changed[:3])}; commit what is to run")
    return commit


def _check_remote(root: Path) -> None:
    if not has_remote(root):
        raise ClusterError(
            "no DVC remote, by which workers exchange outputs; dvc remote add -d NAME URL"
        )


def _origin(root: Path) -> str:
    """The repository workers clone: that of origin, else this one, for workers on this machine."""
    return answer(root, "config", "remote.origin.url") or str(root.absolute())
