"""The graph of dvc.yaml as a Prefect flow: one task a stage, independent stages at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated, Any

import typer
from prefect import flow
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from finery.check import check
from finery.errors import PipelineError, UserError
from finery.params.schema import load
from finery.pipeline.one_run import only_run
from finery.pipeline.recovery import recover
from finery.pipeline.runs import Outcome, outcomes_of, record
from finery.pipeline.settings import set_params
from finery.pipeline.status import StageStatus, status, unknown
from flows.budget import Budget
from flows.command_line import command_line
from flows.report import publish, show
from flows.server import server
from flows.stage_task import outcome_of, stage_task


@flow(name="pipeline", task_runner=ThreadPoolTaskRunner(max_workers=64))
def pipeline(root: Path = Path(), stages: list[str] | None = None) -> State[list[Outcome]]:
    """Bring every stage up to date, or those named and what they need; as `dvc repro` would.

    A stage that fails stops what is below it, and no other. `finery.pipeline.runs` keeps what
    became of each.
    """
    try:
        with only_run(root):
            for healed in recover(root):
                get_run_logger().warning(healed)
            plan = needed(status(root), stages or [])
            outcomes = _run_all(plan, Budget(load(root / "params.yaml").resources), root)
    except UserError as error:
        return Failed(message=str(error))
    record(str(flow_run.id), outcomes, root)
    publish(outcomes, root)
    if failures := [outcome.why for outcome in outcomes if outcome.result == "failed"]:
        return Failed(message="; ".join(failures))
    ran = [o.stage for o in outcomes if o.result in ("ran", "restored")]
    return Completed(message=f"ran {', '.join(ran) or 'nothing'}")


def run(root: Path = Path(), stages: Sequence[str] = ()) -> list[Outcome]:
    """Run the flow; what became of each stage. Raises `PipelineError` if it could not begin."""
    state = pipeline(root, list(stages), return_state=True)
    outcomes = outcomes_of(str(state.state_details.flow_run_id), root)
    if not outcomes:
        raise PipelineError(state.message or state.name)
    return outcomes


def needed(plan: Sequence[StageStatus], names: Sequence[str]) -> list[StageStatus]:
    """The stages named and all above them; every stage if none is named.

    A name without its @item stands for all items. Raises `ProjectError` for an unknown one.
    """
    if not names:
        return list(plan)
    wanted: set[str] = set()
    for name in names:
        found = {s.name for s in plan if name in (s.name, s.name.partition("@")[0])}
        if not found:
            raise unknown(name, [stage.name for stage in plan])
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
            if not outcomes.keys() >= set(stage.after):
                continue
            unchanged = _is_unchanged(stage, outcomes)
            if unchanged or budget.fits(stage.name):
                del waiting[stage.name]
                future = stage_task.submit(
                    stage.name,
                    root,
                    unchanged,
                    environment={} if unchanged else budget.take(stage.name),
                    wait_for=[futures[above] for above in stage.after],
                )
                future.add_done_callback(lambda _, name=stage.name: ended.put(name))
                futures[stage.name] = future
        name = ended.get()
        futures[name].wait()
        budget.give_back(name)
        outcomes[name] = outcome_of(name, futures[name].state)
    return [outcomes[stage.name] for stage in plan]


def _is_unchanged(stage: StageStatus, outcomes: Mapping[str, Outcome]) -> bool:
    """Whether it needs no asking: nothing of its own changed, and nothing above it ran."""
    same = all(outcomes[above].result == "cached" for above in stage.after)
    return same and stage.state != "changed"


def main(
    stages: Annotated[
        list[str] | None, typer.Argument(help="Only these, and what they need.")
    ] = None,
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
        outcomes = run(root, stages or [])
    show(outcomes)
    if worst := max(outcome.exit_status for outcome in outcomes):
        raise SystemExit(worst)


if __name__ == "__main__":
    command_line(main, "run")
