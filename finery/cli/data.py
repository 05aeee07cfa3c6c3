"""`finery data`: look into the datasets."""

from pathlib import Path
from typing import Annotated, Any

import typer

from finery.cli.errors import one_line_errors
from finery.errors import UserError

commands = typer.Typer(no_args_is_help=True, help="Look into the datasets.")
BASE = Path("models/base")
"""Whose chat template samples are shown by; only once it is there is it known to read images."""
DatasetNames = Annotated[
    list[str] | None,
    typer.Argument(help="As dataset_info.json has them; by default all in params.yaml."),
]


@commands.command("check")
def check_data(names: DatasetNames = None) -> None:
    """Validate every row of the datasets: file, row, column, what is wrong."""
    from finery.data.formats.dataset import check_datasets
    from finery.models.seeing import sees

    with one_line_errors():
        params = _settings()
        chosen, data = names or params.datasets, params.data
        folder = Path(data.dataset_dir)
        seeing = sees(BASE)
        if problems := check_datasets(folder, chosen, data.variables, data.test, seeing):
            raise UserError("\n".join(problems))


@commands.command("update")
def update_data(names: DatasetNames = None) -> None:
    """Go to the newest revision of datasets on a hub, in a bucket or on the web."""
    from finery.data.datasets.remote import refresh

    with one_line_errors():
        params = _settings()
        changes = refresh(Path(params.data.dataset_dir), names or params.datasets)
    print("\n".join(changes) or "nothing new")


@commands.command("preview")
def preview_data(
    name: Annotated[str, typer.Argument(help="A dataset of dataset_info.json.")],
    count: Annotated[int, typer.Option(min=1, help="How many rows, from the first.")] = 3,
    row: Annotated[int | None, typer.Option(min=1, help="This row alone.")] = None,
) -> None:
    """Print samples as the model will see them, in colour (or in «») what is trained on."""
    from rich.console import Console
    from rich.text import Text

    from finery.data.report.preview import marked, previews

    console = Console(highlight=False, soft_wrap=True)
    colour = console.is_terminal and not console.no_color
    with one_line_errors():
        for title, parts in previews(_settings().data_for(name), BASE, name, count, row):
            console.print(Text(title, "bold"))
            for text, trained in parts:
                shown = text if colour else marked(text, trained)
                console.print(Text(shown, "green" if trained else "dim"), end="")
            console.print()


def _settings() -> Any:
    from finery.params.schema import load

    return load(Path("params.yaml"))
