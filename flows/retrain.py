"""Retraining: fetch what is new, run what it changes, release the result if it is no worse.

All of it happens in a checkout of its own, .finery/retrain: nobody's working tree is touched, and
what is in service stays. Models are compared before anything leaves that checkout. Then come the
DVC remote, the project's repository and last the tags that put a version into service, so that a
tag never names what cannot be fetched. A run that was cut off is simply done again: what it had
finished comes back from DVC's cache, and training goes on from its last checkpoint.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State

from finery.errors import UserError
from finery.releases.judge import unreleased
from finery.releases.registry import check_stage
from finery.retraining.record import INTERRUPTED, Run, on_record
from finery.upstream.branch import branch_of, check_name
from flows import retrain_steps as steps
from flows.lifeline import end_with_runner
from flows.pipeline import run as run_pipeline
from flows.retrain_outcome import outcome_of

CHECKOUT = Path(".finery/retrain")
NOTHING = "no new data, and every stage is up to date"
FINE = ("released", "nothing changed")
Result = TypeVar("Result")


@flow(name="retrain")
def retrain(
    root: Path = Path(),
    branch: str | None = None,
    onto: str | None = None,
    stage: str = "prod",
    push: bool = False,
) -> State[None]:
    """Retrain a branch (the current one) on what is new; `finery retrain --help` tells the options.

    The state says what became of it, and so does `finery.retraining.record`.
    """
    end_with_runner()
    try:
        with on_record(root) as run:
            _ending(root, run, partial(_retrain, root, run, branch, onto, stage, push))
    except UserError as error:
        return Failed(message=str(error))
    create_markdown_artifact(f"**{run.outcome}**: {run.reason}", key="retrain")
    if run.outcome in FINE:
        return Completed(name=run.outcome.capitalize(), message=run.reason)
    return Failed(message=f"{run.outcome}: {run.reason}")


def _ending(root: Path, run: Run, work: Callable[[], None]) -> None:
    """Do the work; if it ends with an error, that is the outcome of the run."""
    try:
        work()
    except Exception as error:
        run.outcome, reason = outcome_of(error, root)
        run.reason = reason.replace(f"{CHECKOUT}/", "")  # files as the project names them
        if run.outcome == "failed" and not isinstance(error, UserError):
            run.reason = f"{type(error).__name__}: {error}"
            raise
    except BaseException as stop:
        by = "Ctrl-C" if isinstance(stop, KeyboardInterrupt) else "a signal to end"
        run.outcome, run.reason = INTERRUPTED, f"stopped by {by}; the next run goes on from there"
        raise


def _retrain(
    root: Path, run: Run, branch: str | None, onto: str | None, stage: str, push: bool
) -> None:
    checkout = root / CHECKOUT
    run.branch = branch_of(root, branch)
    check_name(onto)
    check_stage(stage)
    target = onto or run.branch
    run.commit = _step("refresh", partial(steps.refresh, root, checkout, run, target))
    if not run.changed and not unreleased(checkout, stage):
        run.outcome, run.reason = "nothing changed", NOTHING
        _step("land", partial(steps.land, root, checkout, run, target))
    else:
        _step("validate", partial(steps.validate, checkout))
        steps.check_ran(run_pipeline(checkout))
        promotions = _step("compare", partial(steps.compare, checkout, run, stage))
        _step("store", partial(steps.store, checkout, promotions))
        _step("land", partial(steps.land, root, checkout, run, target))
        _step("release", partial(steps.release, checkout, run, promotions))
    if push:
        _step("push", partial(steps.push, root, checkout, run, target))


def _step(name: str, work: Callable[[], Result]) -> Result:
    """Do a part of the work as a Prefect task."""
    state = _task(name, work, return_state=True)
    result = state.result(raise_on_failure=False)
    if state.is_completed():
        return result
    raise result


@task(name="step", task_run_name="{name}", cache_policy=NO_CACHE)
def _task(name: str, work: Callable[[], Any]) -> Any:
    """An error is data here: Prefect would print its traceback."""
    try:
        return Completed(message=name, data=work())
    except Exception as error:
        return Failed(message=str(error), data=error)
