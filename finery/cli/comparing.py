"""`finery compare`: the evaluated models side by side, in the terminal."""

from pathlib import Path
from typing import Annotated

import typer

from finery.cli.errors import one_line_errors

commands = typer.Typer()


@commands.command()
def compare(
    language: Annotated[
        str | None, typer.Option(help="en or zh; by default what report.language says.")
    ] = None,
) -> None:
    """Print how the evaluated models differ, and what they take on this machine, as Markdown."""
    from finery.comparison.here import here, lines
    from finery.comparison.page import markdown, report
    from finery.comparison.variants import read_variants
    from finery.comparison.words import WORDS
    from finery.errors import UserError
    from finery.params.report import ComparedParams
    from finery.params.schema import load

    with one_line_errors():
        params = load(Path("params.yaml"))
        written = language or params.report.language
        if written not in WORDS:
            raise UserError(f"language: {written} is none of {', '.join(WORDS)}")
        compared = ComparedParams(language=written, formats=params.quantize.formats)
        folders = {name: Path("models", name) for name in compared.models}
        folders["merged"] = Path("models", params.merge.step)
        evaluations, samples = Path("reports/evaluate"), Path("reports/samples")
        found = report(read_variants(compared.models, evaluations, samples))
        print(markdown(found, written))
        print("\n".join(lines(here(folders))))


@commands.command()
def fit(
    memory: Annotated[str, typer.Option(help="Of the machine to deploy on: 24GB, 16GiB.")],
    context: Annotated[int, typer.Option(min=1, help="Tokens of a conversation.")] = 4096,
    streams: Annotated[int, typer.Option(min=1, help="Conversations at the same time.")] = 1,
) -> None:
    """Say which of the evaluated models fit into a memory, and which of them to deploy."""
    from finery.comparison.fit import chosen, fits, lines, parsed_memory
    from finery.params.schema import load

    with one_line_errors():
        room, params = parsed_memory(memory), load(Path("params.yaml"))
        folders = {name: Path("models", name) for name in ("merged", *params.quantize.formats)}
        folders["merged"] = Path("models", params.merge.step)
        found = fits(folders, Path("reports/evaluate"), context, streams)
        print("\n".join(lines(found, room)))
        print(f"deploy {chosen(found, room).name}")
