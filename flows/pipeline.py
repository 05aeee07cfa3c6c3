"""The graph of dvc.yaml as a Prefect flow: one task a stage, independent stages at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated, Any

import typer
from prefect import flow
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from finery.check import check
from finery.errors import UserError
from finery.params.schema import load
from finery.pipeline.one_run import only_run
from finery.pipeline.process import stop_all
from finery.pipeline.recovery import recover
from finery.pipeline.settings import set_params
from finery.pipeline.status import StageStatus, status
from flows.budget import Budget
from flows.command_line import command_line
from flows.report import publish, show
from flows.server import server
from flows.stage_task import Outcome, stage_task


@flow(name="pipeline", flow_run_name="pipeline {stages}", task_runner=ThreadPoolTaskRunner(max_workers=64))
def pipeline(root: Path = Path(), stages: list[str] | None = None) -> State[list[Outcome]]:
    """Bring every stage up to date, or those named and what they need; as `dvc repro` would.

    The state's data is an `Outcome` for each stage. A stage that fails stops what is below it,
    and no other.
    """
    logger = get_run_logger()
    with only_run(root):
        for healed in recover(root):
            logger.warning(healed)
        plan = needed(status(root), stages or [])
        try:
            outcomes = _run_all(plan, Budget(load(root / "params.yaml").resources), root)
        finally:
            stop_all()
    publish(outcomes, root)
    failures = [outcome for outcome in outcomes if outcome.result == "failed"]
    if failures:
        message = "; ".join(outcome.why for outcome in failures)
        return Failed(message=message, data=outcomes)
    ran = [o.stage for o in outcomes if o.result in ("ran", "restored")]
    return Completed(message=f"ran {', '.join(ran) or 'nothing'}", data=outcomes)


def needed(plan: Sequence[StageStatus], names: Sequence[str]) -> list[StageStatus]:
    """The stages named and all above them; every stage if none is named.

    A name without its @item stands for all items. Raises `UserError` for an unknown one.
    """
    if not names:
        return list(plan)
    wanted: set[str] = set()
    for name in names:
        found = {s.name for s in plan if name in (s.name, s.name.partition("@")[0])}
        if not found:
            raise UserError(f"{name}: no such stage; there are {', '.join(s.name for s in plan)}")
        wanted |= found
    for stage in reversed(plan):
        if stage.name in wanted:
            wanted |= set(stage.after)
    return [stage for stage in plan if stage.name in wanted]


def _run_all(plan: Sequence[StageStatus], budget: Budget, root: Path) -> list[Outcome]:
    """Submit each stage once those above it have ended and the budget has room for it."""
    waiting = {stage.name: stage for stage in plan}
    futures: dict[str, PrefectFuture[Any]] = {}
    outcomes: dict[str, Outcome] = {}
    ended: SimpleQueue[str] = SimpleQueue()
    while len(outcomes) < len(plan):
        for stage in list(waiting.values()):
            if outcomes.keys() >= set(stage.after) and budget.fits(stage.name):
                del waiting[stage.name]
                futures[stage.name] = _submit(stage, budget, root, futures, outcomes)
                futures[stage.name].add_done_callback(lambda _, name=stage.name: ended.put(name))
        name = ended.get()
        budget.give_back(name)
        outcomes[name] = _outcome(name, futures[name].state)
    return [outcomes[stage.name] for stage in plan]


def _submit(
    stage: StageStatus,
    budget: Budget,
    root: Path,
    futures: Mapping[str, PrefectFuture[Any]],
    outcomes: Mapping[str, Outcome],
) -> PrefectFuture[Any]:
    same = all(outcomes[above].result == "cached" for above in stage.after)
    return stage_task.submit(
        stage.name,
        root,
        unchanged=same and stage.state != "changed",
        environment=budget.take(stage.name),
        wait_for=[futures[above] for above in stage.after],
    )


def _outcome(stage: str, state: State[Any]) -> Outcome:
    """What a task's end state says: Prefect leaves a task below a failed one in NotReady."""
    if isinstance(state.data, Outcome):
        return state.data
    if state.is_pending():
        return Outcome(stage, "blocked", "a stage above it failed")
    return Outcome(stage, "failed", state.message or state.name, exit_status=1)


def main(
    stages: Annotated[list[str] | None, typer.Argument(help="Only these, and what they need.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change params.yaml first, as DVC does."),
    ] = None,
) -> None:
    """Run what changed, independent stages at once; with a page to watch."""
    root = Path()
    if set_:
        set_params(set_, root / "params.yaml")
    check(root / "params.yaml")
    needed(status(root), stages or [])
    with server() as page:
        print(f"watch: {page}", flush=True)
        state = pipeline(root, stages, return_state=True)
        outcomes = state.data if isinstance(state.data, list) else []
    show(outcomes)
    if state.is_failed():
        raise SystemExit(max((o.exit_status for o in outcomes), default=1))
    

if __name__ == "__main__":
    command_line(main, "run")
