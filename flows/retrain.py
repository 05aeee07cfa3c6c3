"""Retraining: fetch what is new, run what it changes, release the result if it is no worse.

All of it happens in a checkout of its own, .finery/retrain: nobody's working tree is touched, and
what is in service stays. Models are compared before anything leaves that checkout. Then come the
DVC remote, the project's repository and last the tags that put a version into service, so that a
tag never names what cannot be fetched. A run that was cut off is simply done again: what it had
finished comes back from DVC's cache, and training goes on from its last checkpoint.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State

from finery.checkout import clean_checkout, git
from finery.data.dataset_info import find
from finery.data.errors import DataError
from finery.data.remote import refresh
from finery.errors import PipelineError, UserError
from finery.params.schema import ParamsError, load
from finery.pipeline.recovery import recover
from finery.pipeline.runs import Outcome
from finery.pipeline.status import status
from finery.releases import data, tags
from finery.releases.errors import NotDelivered, NotPaired, WorseThanChampion
from finery.releases.git import check_tagger
from finery.releases.judge import Promotion, judge_all, unreleased
from finery.releases.promote import put
from finery.retraining import landing
from finery.retraining.errors import NotPushed
from finery.retraining.record import INTERRUPTED, Run, history, recorded
from finery.retraining.report import message, show
from finery.upstream import storage
from finery.upstream.branch import branch_of, fetched, merge, start_of
from finery.upstream.errors import RemoteError, UpstreamError
from flows.command_line import command_line
from flows.pipeline import run as run_pipeline
from flows.server import server


class BadSettings(UserError):
    """`finery check` found something wrong."""


class BadData(PipelineError):
    """A row, a file or a folder of data cannot be used."""


class FailedGate(PipelineError):
    """A model misses a threshold of the gate."""


CHECKOUT = Path(".finery/retrain")
NOTHING = "no new data, and every stage is up to date"
FINE = ("released", "nothing changed")
OUTCOMES = {
    UpstreamError: "upstream unreachable",
    RemoteError: "remote unreachable",
    ParamsError: "bad settings",
    BadSettings: "bad settings",
    DataError: "bad data",
    BadData: "bad data",
    FailedGate: "failed gate",
    WorseThanChampion: "worse",
    NotPaired: "not comparable",
    NotDelivered: "not delivered",
    NotPushed: "not delivered",
}
FULL = ("No space left on device", "Disk quota exceeded", "disk is full")
Result = TypeVar("Result")


@flow(name="retrain")
def retrain(
    root: Path = Path(),
    branch: str | None = None,
    onto: str | None = None,
    stage: str = "prod",
    push: bool = False,
) -> State[None]:
    """Retrain a branch (the current one) on what is new; see `main` for the options.

    Nothing is raised: `finery.retraining.record` has what became of the run, and so has the state.
    """
    try:
        with recorded(root) as run:
            _ending(run, partial(_retrain, root, run, branch, onto, stage, push))
    except UserError as error:
        return Failed(message=str(error))
    create_markdown_artifact(f"**{run.outcome}**: {run.reason}", key="retrain")
    if run.outcome in FINE:
        return Completed(name=run.outcome.capitalize(), message=run.reason)
    return Failed(message=f"{run.outcome}: {run.reason}")


def _ending(run: Run, work: Callable[[], None]) -> None:
    """Do the work; if it ends with an error, that is the outcome of the run."""
    try:
        work()
    except Exception as error:
        run.outcome, run.reason = _outcome(error), str(error) or type(error).__name__
        if run.outcome == "failed" and not isinstance(error, UserError):
            run.reason = f"{type(error).__name__}: {error}"
            raise
    except BaseException as stop:
        by = "Ctrl-C" if isinstance(stop, KeyboardInterrupt) else "a signal to end"
        run.outcome, run.reason = INTERRUPTED, f"stopped by {by}; the next run goes on from there"
        raise


def _outcome(error: Exception) -> str:
    if any(words in str(error) for words in FULL):
        return "disk full"
    return next((name for kind, name in OUTCOMES.items() if isinstance(error, kind)), "failed")


def _retrain(
    root: Path, run: Run, branch: str | None, onto: str | None, stage: str, push: bool
) -> None:
    checkout = root / CHECKOUT
    run.branch = branch_of(root, branch)
    target = onto or run.branch
    run.commit = _step("refresh", partial(_refresh, root, checkout, run, target))
    if not run.changed and not unreleased(checkout, stage):
        run.outcome, run.reason = "nothing changed", NOTHING
        _step("land", partial(_land, root, checkout, run, target))
    else:
        _step("validate", partial(_validate, checkout))
        _check_ran(run_pipeline(checkout))
        promotions = _step("compare", partial(_compare, checkout, run, stage))
        _step("store", partial(_store, checkout, promotions))
        _step("land", partial(_land, root, checkout, run, target))
        _step("release", partial(_release, checkout, run, promotions))
    if push:
        _step("push", partial(_push, root, run, target))


def _refresh(root: Path, checkout: Path, run: Run, target: str) -> str:
    """Bring the checkout to the newest of everything; the commit of the project it starts from."""
    tip = fetched(root, run.branch)
    start = start_of(root, run.branch, target, _parked(target))
    clean_checkout(str(root), start, checkout, storage.cache_folder(root))
    check_tagger(checkout)
    recover(checkout)
    if tip:
        merge(checkout, tip, f"what {run.branch} tracks")
    run.base = git(checkout, "rev-parse", "HEAD")
    storage.restore(checkout)
    run.changed = [*storage.update_imports(checkout), *_new_revisions(checkout)]
    stale = [each for each in status(checkout) if each.state == "changed"]
    run.changed += [f"{each.name}: {'; '.join(each.reasons)}" for each in stale]
    return start


def _new_revisions(checkout: Path) -> list[str]:
    """Go to the newest revision of datasets on hubs and in buckets; what changed, a line each."""
    settings = load(checkout / "params.yaml").data
    folder = checkout / settings.dataset_dir
    for name in settings.names:
        find(folder, name)  # what is wrong with an entry is no fault of a hub
    try:
        return refresh(folder, settings.names)
    except DataError as error:
        raise UpstreamError(str(error)) from None


def _validate(checkout: Path) -> None:
    """What can be known to be wrong before time is spent, by the code of that commit."""
    command = [sys.executable, "-m", "finery.cli", "check"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    if done.returncode:
        raise BadSettings("; ".join(done.stderr.strip().splitlines()))


def _check_ran(outcomes: Sequence[Outcome]) -> None:
    """Raises what the first stage that failed said of it."""
    failed = next((outcome for outcome in outcomes if outcome.result == "failed"), None)
    if failed is None:
        return
    if failed.stage == "gate":
        raise FailedGate(failed.why)
    if failed.stage == "prepare" and failed.exit_status == UserError.exit_status:
        raise BadData(failed.why)
    raise PipelineError(failed.why)


def _compare(checkout: Path, run: Run, stage: str) -> list[Promotion]:
    """Commit the result in the checkout; what of it may go into service, all of it or nothing."""
    text = message(run.changed, checkout, data.artifacts(checkout))
    run.commit = landing.commit(checkout, text)
    return judge_all(checkout, unreleased(checkout, stage), stage)


def _store(checkout: Path, promotions: Sequence[Promotion]) -> None:
    """Send everything to the DVC remote, and make sure that it has what is to be released."""
    storage.push(checkout)
    for each in promotions:
        data.push(checkout, each.release.commit, each.release.name)


def _land(root: Path, checkout: Path, run: Run, target: str) -> None:
    run.landed = landing.land(root, checkout, run.commit, target, _parked(target))


def _parked(target: str) -> str:
    """Where a result waits that the branch cannot take."""
    return f"retrain/{target}"


def _release(checkout: Path, run: Run, promotions: Sequence[Promotion]) -> None:
    """Tag in the checkout, then send the tags to the project's repository in one piece."""
    if promotions:
        put(checkout, promotions, push=True)
    run.versions = {each.release.name: each.release.version for each in promotions}
    run.outcome = "released" if promotions else "nothing changed"
    titles = [each.title for each in promotions]
    run.reason = "; ".join(titles) or "the models came out as those that were released before"


def _push(root: Path, run: Run, target: str) -> None:
    made = [event.tag for name in data.artifacts(root) for event in tags.events(root, name)]
    run.landed = landing.push(root, target, run.landed, _parked(target), made)


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


def main(
    branch: Annotated[str | None, typer.Option(help="What to retrain; by default as here.")] = None,
    onto: Annotated[
        str | None, typer.Option(help="A branch for the result, instead of the one retrained.")
    ] = None,
    stage: Annotated[str, typer.Option(help="Where to release.")] = "prod",
    push: Annotated[
        bool, typer.Option(help="Push the branch and the tags to git's remote.")
    ] = False,
    show_history: Annotated[
        bool, typer.Option("--history", help="Only list the retrainings so far.")
    ] = False,
) -> None:
    """Fetch new data, run what it changes, and release the result if it is no worse."""
    root = Path()
    if show_history:
        return show(history(root))
    with server() as page:
        print(f"watch: {page}", flush=True)
        state = retrain(root, branch, onto, stage, push, return_state=True)
    print(f"{'' if state.is_failed() else state.name + ': '}{state.message}")
    if state.is_failed():
        raise SystemExit(1)


if __name__ == "__main__":
    command_line(main, "retrain")
