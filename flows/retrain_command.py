"""`finery retrain`: its options, and the record of the run from its first moment.

Prefect takes seconds to import; a run that is killed meanwhile is on record, too.
"""

from pathlib import Path
from typing import Annotated

import typer

from finery.releases.registry import check_stage
from finery.retraining.record import INTERRUPTED, history, recorded, settle
from finery.upstream.branch import branch_of, check_name
from flows.command_line import command_line


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
        return _show(root)
    branch_of(root, branch)
    check_name(onto)
    check_stage(stage)
    with recorded(root) as run:
        from flows.retrain import retrain
        from flows.server import server

        try:
            with server() as page:
                print(f"watch: {page}", flush=True)
                state = retrain(root, branch, onto, stage, push, return_state=True)
        except KeyboardInterrupt:
            run.outcome = run.outcome or INTERRUPTED
            run.reason = run.reason or "stopped by Ctrl-C; the next run goes on from there"
            raise
        except Exception as error:  # it did not come to the flow, or not to its end
            run.outcome = run.outcome or "failed"
            run.reason = run.reason or str(error) or type(error).__name__
            raise
    print(f"{'' if state.is_failed() else state.name + ': '}{state.message}")
    if state.is_failed():
        raise SystemExit(1)


def _show(root: Path) -> None:
    from finery.retraining.report import show

    settle(root)
    show(history(root))


if __name__ == "__main__":
    command_line(main, "retrain")
