"""Commands around the pipeline: its settings, this machine, what would run, and running it."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from finery.cli.errors import one_line_errors

commands = typer.Typer()
ParamsFile = Annotated[Path, typer.Argument(help="The settings to check.")]
StageName = Annotated[
    str, typer.Argument(help="As dvc.yaml names it; quantize is all of its items.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FLOW: dict[str, Any] = {
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
    "add_help_option": False,
}
"""A command whose options the flow itself reads."""


@commands.command()
def check(params: ParamsFile = Path("params.yaml")) -> None:
    """Validate params.yaml: every problem in one go, before any time is spent."""
    from finery.check.settings import notes
    from finery.preflight.check import check as check_params

    with one_line_errors():
        said = notes(check_params(params))
    print("\n".join([f"{params}: valid", *said]))


@commands.command()
def doctor(as_json: AsJson = False) -> None:
    """Examine this machine: can the pipeline run here, and what to do about what is not right."""
    import json
    from dataclasses import asdict

    from finery.doctor.examine import examine
    from finery.doctor.report import show

    findings = examine()
    runs_here = all(finding.level != "problem" for finding in findings)
    if as_json:
        found = {"runs_here": runs_here, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        show(findings)
    if not runs_here:
        raise SystemExit(1)


@commands.command(**FLOW)
def run(context: typer.Context) -> None:
    """Run what changed, independent stages at once, on a page to watch."""
    if any(argument.startswith("-") for argument in context.args) or not _settled(context.args):
        _become("flows.pipeline", context.args)


@commands.command(**FLOW)
def retrain(context: typer.Context) -> None:
    """Fetch new data, run what it changes, and release the result if it is no worse."""
    _become("flows.retrain_command", context.args)


@commands.command(**FLOW)
def schedule(context: typer.Context) -> None:
    """Retrain on a schedule and on new data, one run at a time, until interrupted."""
    _become("flows.schedule", context.args)


@commands.command(**FLOW)
def watch(context: typer.Context) -> None:
    """Serve the Prefect page, on which every run shows, until interrupted."""
    _become("flows.server", context.args)


@commands.command()
def recover() -> None:
    """Mend what a kill left behind, before a plain `dvc repro`; `finery run` does it itself."""
    from finery.pipeline.recovery import recover as recover_project

    with one_line_errors():
        healed = recover_project()
    print("\n".join(healed) or "nothing to mend")


@commands.command()
def schema() -> None:
    """Print the JSON Schema of params.yaml, for completion in an editor."""
    import json

    from finery.params.schema import json_schema

    print(json.dumps(json_schema(), indent=2))


@commands.command()
def status(as_json: AsJson = False) -> None:
    """Say which stages a run would run, and why."""
    import json
    from dataclasses import asdict

    with one_line_errors():
        _check_settings()
        from finery.pipeline.status import status as stage_statuses
        from finery.pipeline.words import table

        statuses = stage_statuses()
    print(json.dumps([asdict(each) for each in statuses], indent=2) if as_json else table(statuses))


@commands.command()
def why(stage: StageName, as_json: AsJson = False) -> None:
    """Say why a stage would run: its own reasons, then those of the stages before it."""
    import json
    from dataclasses import asdict

    with one_line_errors():
        _check_settings()
        from finery.pipeline.status import status as stage_statuses
        from finery.pipeline.words import causes, chain, chosen

        statuses = stage_statuses()
        chains = [causes(each, statuses) for each in chosen(stage, statuses)]
    if as_json:
        print(json.dumps([[asdict(each) for each in found] for found in chains], indent=2))
    else:
        print("\n".join(chain(found) for found in chains))


def _become(module: str, arguments: list[str]) -> None:
    """Go on as `python -m MODULE`: flows stand above this package, which does not import them."""
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def _settled(stages: list[str]) -> bool:
    """Whether a run of these stages had nothing to do; if so, it is told and recorded."""
    from uuid import uuid4

    from finery.pipeline.runs import record, show
    from finery.pipeline.settled import settled

    with one_line_errors():
        if outcomes := settled(stages):
            _check_settings()
            record(str(uuid4()), outcomes)
            show(outcomes)
    return bool(outcomes)


def _check_settings() -> None:
    """DVC says little about a params.yaml that it cannot use."""
    from finery.params.schema import load

    load(Path("params.yaml"))
