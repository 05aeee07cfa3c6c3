"""`finery`: the command line, thin, one function a command."""

import typer

from finery.cli import data, pipeline, releases

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(pipeline.commands)
app.add_typer(releases.commands)
app.add_typer(data.commands, name="data")


@app.callback()
def finery() -> None:
    """Fine-tune open language models as one reproducible pipeline; `dvc repro` runs it."""
