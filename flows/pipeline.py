"""The graph of dvc.yaml as a Prefect flow: one task a stage, independent stages at once."""

import sys
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated, Any, Literal

import typer
from prefect import flow
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from finery.errors import PipelineError, UserError
from finery.pipeline.one_run import only_run
from finery.pipeline.runs import Outcome, outcomes_of, record, show
from finery.pipeline.settings import set_params
from finery.pipeline.status import StageStatus, needed
from finery.preflight.check import check
from flows.cluster import Cluster
from flows.command_line import command_line
from flows.here import Here
from flows.lifeline import end_with_runner
from flows.report import publish
from flows.server import check_server, server

EngineName = Literal["local", "ray", "dask"]


@flow(name="pipeline", task_runner=ThreadPoolTaskRunner(max_workers=64))
def pipeline(
    root: Path = Path(),
    stages: list[str] | None = None,
    engine: EngineName = "local",
    address: str | None = None,
    repo: str | None = None,
) -> State:
    """Bring every stage up to date, or those named and what they need; as `dvc repro` would.

    A stage that fails stops what is below it, and no other. `finery.pipeline.runs` keeps what
    became of each. `engine` is where stages run: in this checkout, or on the workers of a Ray or
    Dask cluster at `address`, which clone `repo`.
    """
    end_with_runner()
    try:
        with only_run(root), _engine(root, engine, address, repo) as where:
            for healed in where.prepare():
                get_run_logger().warning(healed)
            outcomes = _run_all(needed(where.plan(), stages or []), where)
        record(str(flow_run.id), outcomes, root)
    except (UserError, OSError) as error:  # OSError: a full disk
        return Failed(message=str(error))
    publish(outcomes, root)
    if failures := [outcome.why for outcome in outcomes if outcome.result == "failed"]:
        return Failed(message="; ".join(failures))
    ran = [o.stage for o in outcomes if o.result in ("ran", "restored")]
    return Completed(message=f"ran {', '.join(ran) or 'nothing'}")


def run(
    root: Path = Path(),
    stages: Sequence[str] = (),
    engine: EngineName = "local",
    address: str | None = None,
    repo: str | None = None,
) -> list[Outcome]:
    """Run the flow; what became of each stage. Raises `PipelineError` if it could not begin."""
    state = pipeline(root, list(stages), engine, address, repo, return_state=True)
    outcomes = outcomes_of(str(state.state_details.flow_run_id), root)
    if not outcomes:
        raise PipelineError(state.message or state.name)
    return outcomes


def _engine(root: Path, name: EngineName, address: str | None, repo: str | None) -> Here | Cluster:
    if name != "local":
        return Cluster(root, name, address, repo)
    for option, value in {"--address": address, "--repo": repo}.items():
        if value:
            raise UserError(f"{option} {value}: is for a cluster; add --engine ray or dask")
    return Here(root)


def _run_all(plan: Sequence[StageStatus], where: Here | Cluster) -> list[Outcome]:
    """Submit each stage once those above it have ended and there is room for it."""
    waiting = {stage.name: stage for stage in plan}
    futures: dict[str, PrefectFuture[Any]] = {}
    outcomes: dict[str, Outcome] = {}
    ended: SimpleQueue[str] = SimpleQueue()
    while len(outcomes) < len(plan):
        for stage in list(waiting.values()):
            if not outcomes.keys() >= set(stage.after):
                continue
            above = [futures[name] for name in stage.after]
            if future := where.submit(stage, outcomes, above):
                futures[stage.name] = future
                del waiting[stage.name]
                future.add_done_callback(lambda _, name=stage.name: ended.put(name))
        name = ended.get()
        futures[name].wait()
        outcomes[name] = where.ended(name, futures[name])
    return [outcomes[stage.name] for stage in plan]


def main(
    stages: Annotated[
        list[str] | None, typer.Argument(help="Only these, and what they need.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change params.yaml first."),
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="Where the stages run.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="The cluster; without it, one on this machine.")
    ] = None,
    repo: Annotated[
        str | None, typer.Option(help="What the cluster's workers clone; default: origin.")
    ] = None,
) -> None:
    """Run what changed, independent stages at once; with a page to watch."""
    root = Path()
    check_server()
    if assignments:
        set_params(assignments, root / "params.yaml")
    check(root / "params.yaml")
    with only_run(root), _engine(root, engine, address, repo) as where:
        for healed in where.prepare():
            print(healed, file=sys.stderr)
        needed(where.plan(), stages or [])
    with server() as page:
        print(f"watch: {page}", flush=True)
        outcomes = run(root, stages or [], engine, address, repo)
    show(outcomes)
    if engine != "local":
        print("the outputs are in the DVC remote; to have them here: dvc pull")
    if worst := max(outcome.exit_status for outcome in outcomes):
        raise SystemExit(worst)


if __name__ == "__main__":
    command_line(main, "run")
