"""A flow from the command line: its function's options, and errors in one line."""

import sys
from collections.abc import Callable

import typer

from finery.errors import UserError


def command_line(function: Callable[..., None], name: str) -> None:
    """Run a function with its typer options; a `UserError` becomes one line and its status."""
    app = typer.Typer(add_completion=False)
    app.command(name)(function)
    try:
        app(prog_name=f"finery {name}")
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
