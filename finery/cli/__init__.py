"""`finery`: the command line, thin, one function a command."""

from typing import Annotated

import typer

from finery.cli import answering, comparing, data, moving, pipeline, releases, serving
from finery.cli.errors import one_line_errors
from finery.errors import UserError

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(pipeline.commands)
app.add_typer(releases.commands)
app.add_typer(answering.commands)
app.add_typer(comparing.commands)
app.add_typer(serving.commands)
app.add_typer(data.commands, name="data")
app.add_typer(moving.commands)
app.add_typer(moving.imports, name="import")


def _version(asked: bool) -> None:
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version

    with one_line_errors():
        try:
            print(f"finery {version('finery')}")
        except PackageNotFoundError:
            raise UserError("finery: not installed, so of no version; `make` sets it up") from None
    raise typer.Exit


@app.callback()
def finery(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Fine-tune open language models as one reproducible pipeline; `dvc repro` runs it."""
