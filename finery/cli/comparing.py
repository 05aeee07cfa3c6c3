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
