"""The steps of a retraining, each from what the one before it left in the checkout."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from finery.data.datasets.dataset_info import find
from finery.data.datasets.remote import refresh as newest_revisions
from finery.data.errors import DataError
from finery.errors import PipelineError, UserError
from finery.params.schema import load
from finery.pipeline.checkout import clean_checkout, git
from finery.pipeline.recovery import recover
from finery.pipeline.runs import Outcome
from finery.pipeline.status import status
from finery.releases import data, kept, tags
from finery.releases.git import check_tagger
from finery.releases.judge import Promotion, judge_all, unreleased
from finery.releases.promote import put
from finery.retraining import landing
from finery.retraining.record import Run
from finery.retraining.report import message
from finery.upstream import storage
from finery.upstream.branch import fetched, merge, start_of
from finery.upstream.errors import UpstreamError
from flows.retrain_outcome import BadData, BadSettings, FailedGate

SHOWN = 3
"""Lines of a reason."""


def refresh(root: Path, checkout: Path, run: Run, target: str) -> str:
    """Bring the checkout to the newest of everything; the commit of the project it starts from."""
    if tip := fetched(root, run.branch):
        tags.bring(
            root
        )  # whoever released elsewhere has put the model into service to compare with
    start = start_of(root, run.branch, target, parked(target))
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
    settings = load(checkout / "params.yaml")
    folder = checkout / settings.data.dataset_dir
    for name in settings.datasets:
        find(folder, name)  # what is wrong with an entry is no fault of a hub
    try:
        return newest_revisions(folder, settings.datasets)
    except DataError as error:
        raise UpstreamError(str(error)) from None


def validate(checkout: Path) -> None:
    """What can be known to be wrong before time is spent, by the code of that commit."""
    _finery(checkout, BadSettings, "check")
    if load(checkout / "params.yaml").data.on_bad_row == "fail":
        _finery(checkout, BadData, "data", "check")


def _finery(checkout: Path, error: type[BadSettings | BadData], *arguments: str) -> None:
    command = [sys.executable, "-m", "finery.cli", *arguments]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        more = [f"and {len(lines) - SHOWN} lines more"] if len(lines) > SHOWN else []
        raise error("; ".join([*lines[:SHOWN], *more]))


def check_ran(outcomes: Sequence[Outcome]) -> None:
    """Raises what the first stage that failed said of it."""
    failed = next((outcome for outcome in outcomes if outcome.result == "failed"), None)
    if failed is None:
        return
    if failed.stage == "gate":
        raise FailedGate(failed.why)
    of_data = failed.stage.partition("@")[0] in ("prepare", "prepare_test")
    if of_data and failed.exit_status == UserError.exit_status:
        raise BadData(failed.why)
    raise PipelineError(failed.why)


def compare(checkout: Path, run: Run, stage: str) -> list[Promotion]:
    """Commit the result in the checkout; what of it may go into service, all of it or nothing."""
    text = message(run.changed, checkout, data.artifacts(checkout))
    run.commit = landing.commit(checkout, text)
    return judge_all(checkout, unreleased(checkout, stage), stage)


def store(checkout: Path, promotions: Sequence[Promotion]) -> None:
    """Send everything to the DVC remote, and make sure that it has what is to be released."""
    storage.push(checkout)
    for each in promotions:
        kept.push(checkout, each.release.commit, each.release.name)


def land(root: Path, checkout: Path, run: Run, target: str) -> None:
    """Take the run's commit into the project's repository."""
    run.landed = landing.land(root, checkout, run.commit, target, parked(target))


def parked(target: str) -> str:
    """Where a result waits that the branch cannot take."""
    return f"retrain/{target}"


def release(checkout: Path, run: Run, promotions: Sequence[Promotion]) -> None:
    """Tag in the checkout, then send the tags to the project's repository in one piece."""
    if promotions:
        put(checkout, promotions, push=True)
    run.versions = {each.release.name: each.release.version for each in promotions}
    run.outcome = "released" if promotions else "nothing changed"
    titles = [each.title for each in promotions]
    run.reason = "; ".join(titles) or "the models came out as those that were released before"


def push(root: Path, checkout: Path, run: Run, target: str) -> None:
    """Push the branch, and the tags of every release, to the remote of the project's git."""
    models = data.artifacts(checkout)
    made = [event.tag for name in models for event in tags.events(checkout, name)]
    run.landed = landing.push(root, target, run.landed, parked(target), made)
