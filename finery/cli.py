"""`finery`: the command line, thin, one function a command."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from finery.errors import UserError

app = typer.Typer(no_args_is_help=True, add_completion=False)
data_app = typer.Typer(no_args_is_help=True, help="Look into the datasets.")
app.add_typer(data_app, name="data")
ParamsFile = Annotated[Path, typer.Argument(help="The settings to check.")]
StageName = Annotated[
    str, typer.Argument(help="As dvc.yaml names it; quantize is all of its items.")
]
DatasetNames = Annotated[
    list[str] | None,
    typer.Argument(help="As dataset_info.json has them; by default all in params.yaml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModelName = Annotated[str, typer.Argument(help="A model of dvc.yaml's artifacts, as merged.")]
ReleaseStage = Annotated[str, typer.Option("--stage", help="Where it is in service: prod, dev.")]
Push = Annotated[bool, typer.Option("--push", help="To the DVC remote, and the tags to git's.")]
PackageFolder = Annotated[Path, typer.Argument(help="The package's folder.")]
FLOW: dict[str, Any] = {
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
    "add_help_option": False,
}
"""A command whose options the flow itself reads."""


@app.callback()
def finery() -> None:
    """Fine-tune open language models as one reproducible pipeline; `dvc repro` runs it."""


@app.command()
def check(params: ParamsFile = Path("params.yaml")) -> None:
    """Validate params.yaml: every problem in one go, before any time is spent."""
    from finery.check import check as check_params

    with _one_line_errors():
        check_params(params)
    print(f"{params}: valid")


@app.command()
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


@app.command(**FLOW)
def run(context: typer.Context) -> None:
    """Run what changed, independent stages at once, on a page to watch."""
    _become("flows.pipeline", context.args)


@app.command(**FLOW)
def retrain(context: typer.Context) -> None:
    """Fetch new data, run what it changes, and release the result if it is no worse."""
    _become("flows.retrain_command", context.args)


@app.command(**FLOW)
def schedule(context: typer.Context) -> None:
    """Retrain on a schedule and on new data, one run at a time, until interrupted."""
    _become("flows.schedule", context.args)


@app.command(**FLOW)
def watch(context: typer.Context) -> None:
    """Serve the Prefect page, on which every run shows, until interrupted."""
    _become("flows.server", context.args)


@app.command()
def fetch(
    release: Annotated[str, typer.Argument(help="NAME@STAGE or NAME@VERSION, as merged@prod.")],
    source: Annotated[
        str, typer.Option("--from", help="The URL or folder of the project that released it.")
    ] = ".",
    out: Annotated[Path | None, typer.Option(help="The new folder; by default NAME.")] = None,
) -> None:
    """Bring a released package here from the DVC remote, and verify it; nothing is trained."""
    from finery.packaging.verify import verify as verify_package
    from finery.releases.fetch import fetch as fetch_package

    with _one_line_errors():
        found, folder = fetch_package(source, release, out, verify_package)
    print(f"{folder}: {found.name} {found.version}, as in its MANIFEST.json")


@app.command()
def promote(
    name: ModelName,
    stage: ReleaseStage = "prod",
    version: Annotated[
        str | None, typer.Option(help="A version from before, or what to call the new one.")
    ] = None,
    override: Annotated[
        str | None, typer.Option(help="Why to release it though it is worse; goes on record.")
    ] = None,
    push: Push = False,
) -> None:
    """Release the current commit's package, if it is not worse than the one in service."""
    from finery.releases.promote import promote as promote_model
    from finery.releases.show import summary

    with _one_line_errors():
        release = promote_model(Path(), name, stage, version, override, push)
    print("\n".join(summary(release, stage)))


@app.command()
def recover() -> None:
    """Mend what a kill left behind, before a plain `dvc repro`; `finery run` does it itself."""
    from finery.pipeline.recovery import recover as recover_project

    print("\n".join(recover_project()) or "nothing to mend")


@app.command()
def releases(
    name: Annotated[str | None, typer.Argument(help="One model; by default all.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what was released: versions, stages, metrics, commits, overrides."""
    from finery.params.schema import load
    from finery.releases import show
    from finery.releases.registry import releases as all_releases

    with _one_line_errors():
        metrics = load(Path("params.yaml")).release.metrics
        found = all_releases(Path(), name)
    if as_json:
        print(show.as_json(found))
    elif found:
        show.show(found, metrics)
    else:
        print("nothing was released yet; `finery promote NAME` releases what the pipeline made")


@app.command()
def rollback(
    name: ModelName,
    stage: ReleaseStage = "prod",
    reason: Annotated[str | None, typer.Option(help="Why; goes on record.")] = None,
    push: Push = False,
) -> None:
    """Put the version back in service that was there before; again, and the one before that."""
    from finery.releases.promote import rollback as roll_back

    with _one_line_errors():
        release = roll_back(Path(), name, stage, reason, push)
    after = release.records[stage]["from"]
    print(f"{release.name} {release.version} is back in {stage}, after {after}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of params.yaml, for completion in an editor."""
    import json

    from finery.params.schema import json_schema

    print(json.dumps(json_schema(), indent=2))


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say which stages a run would run, and why."""
    import json
    from dataclasses import asdict

    with _one_line_errors():
        _check_settings()
        from finery.pipeline.status import status as stage_statuses
        from finery.pipeline.words import table

        statuses = stage_statuses()
    print(json.dumps([asdict(each) for each in statuses], indent=2) if as_json else table(statuses))


@app.command()
def why(stage: StageName, as_json: AsJson = False) -> None:
    """Say why a stage would run: its own reasons, then those of the stages before it."""
    import json
    from dataclasses import asdict

    with _one_line_errors():
        _check_settings()
        from finery.pipeline.status import status as stage_statuses
        from finery.pipeline.words import causes, chain, chosen

        statuses = stage_statuses()
        chains = [causes(each, statuses) for each in chosen(stage, statuses)]
    if as_json:
        print(json.dumps([[asdict(each) for each in found] for found in chains], indent=2))
    else:
        print("\n".join(chain(found) for found in chains))


@app.command()
def verify(package: PackageFolder) -> None:
    """Check a package against its manifest; name every file changed, added or missing."""
    from finery.packaging.manifest import read_manifest
    from finery.packaging.verify import verify as verify_package

    with _one_line_errors():
        problems = verify_package(package)
        manifest = read_manifest(package)
    if problems:
        lines = [f"{package}: {problem}" for problem in problems]
        sys.exit(
            "\n".join([*lines, f"{package}: {len(problems)} wrong; fetch or package it again"])
        )
    commit = (manifest.git.get("commit") or "none")[:8]
    print(f"{package}: {len(manifest.files)} files match MANIFEST.json (commit {commit})")


@data_app.command("check")
def check_data(names: DatasetNames = None) -> None:
    """Validate every row of the datasets: file, row, column, what is wrong."""
    from finery.data.reading import check_datasets

    with _one_line_errors():
        params = _data_settings()
        chosen = names or params.names
        if problems := check_datasets(Path(params.dataset_dir), chosen, params.variables):
            raise UserError("\n".join(problems))


@data_app.command("update")
def update_data(names: DatasetNames = None) -> None:
    """Go to the newest revision of datasets on a hub, in a bucket or on the web."""
    from finery.data.remote import refresh

    with _one_line_errors():
        params = _data_settings()
        changes = refresh(Path(params.dataset_dir), names or params.names)
    print("\n".join(changes) or "nothing new")


@data_app.command("preview")
def preview_data(
    name: Annotated[str, typer.Argument(help="A dataset of dataset_info.json.")],
    count: Annotated[int, typer.Option(min=1, help="How many rows, from the first.")] = 3,
    row: Annotated[int | None, typer.Option(min=1, help="This row alone.")] = None,
) -> None:
    """Print samples as the model will see them, in colour (or in «») what is trained on."""
    from rich.console import Console
    from rich.text import Text

    from finery.data.preview import marked, previews

    console = Console(highlight=False, soft_wrap=True)
    colour = console.is_terminal and not console.no_color
    with _one_line_errors():
        for title, parts in previews(_data_settings(), Path("models/base"), name, count, row):
            console.print(Text(title, "bold"))
            for text, trained in parts:
                shown = text if colour else marked(text, trained)
                console.print(Text(shown, "green" if trained else "dim"), end="")
            console.print()


def _data_settings() -> Any:
    from finery.params.schema import load

    return load(Path("params.yaml")).data


def _become(module: str, arguments: list[str]) -> None:
    """Go on as `python -m MODULE`: flows stand above this package, which does not import them."""
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def _check_settings() -> None:
    """DVC says little about a params.yaml that it cannot use."""
    from finery.params.schema import load

    load(Path("params.yaml"))


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_status) from None


if __name__ == "__main__":
    app()
