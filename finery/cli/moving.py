"""`finery import`: settings of other tools; `finery use`: complete ones to begin with."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from finery.cli.errors import one_line_errors

commands = typer.Typer()
imports = typer.Typer(no_args_is_help=True, help="Bring settings of other tools here.")
Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="YAML or JSON of LLaMA-Factory's for train, export, predict or chat; a"
        " llamaboard_config.yaml; a script; or, behind --, a command.",
    ),
]


@commands.command()
def use(
    recipe: Annotated[
        str | None, typer.Argument(help="By its name in recipes/; without one, they are listed.")
    ] = None,
) -> None:
    """Put complete settings from recipes/ in the place of params.yaml; the old ones are kept."""
    from finery.moving.recipes import recipes
    from finery.moving.recipes import use as use_recipe

    with one_line_errors():
        if recipe is None:
            for each in recipes():
                print(f"{each.name}: {each.facts['For']} ({each.facts['Hardware']})")
            return
        used = use_recipe(recipe)
    _say_written(used.kept)
    for name in used.missing:
        print(f"to do: {name}: a dataset of your own; add it to data.dataset_dir (docs/data.md)")
    _check()


@imports.callback()
def import_from() -> None:
    """Bring settings of other tools here."""


@imports.command()
def llamafactory(
    files: Files,
    data: Annotated[
        Path | None, typer.Option(help="The datasets, if they are not where the files say.")
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="A dataset to ask; may be repeated.")
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(min=1, help="How many the training was shared by.")
    ] = None,
    keep_model: Annotated[
        bool, typer.Option("--keep-model", help="Leave the model that params.yaml has.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print params.yaml, and write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    prove: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Compare the tokens of so many rows of each dataset with LLaMA-Factory 0.9.5's,"
            " which is installed for it. The base model must be here.",
        ),
    ] = None,
) -> None:
    """Make params.yaml of files of LLaMA-Factory's; several are one chain. The old one is kept."""
    from finery.moving.llamafactory.bring import Wishes, bring

    wishes = Wishes(
        data=data, tests=tuple(test or ()), gpus=gpus, keep_model=keep_model, write=not dry_run
    )
    with one_line_errors():
        brought = bring(files, wishes)
    if as_json:
        import json

        from finery.moving.llamafactory.report import as_json as found

        said = found(brought.drafts, brought.todo) | {"params": brought.text}
        print(json.dumps(said, indent=2, ensure_ascii=False, default=str))
        return
    _show(brought)
    if dry_run:
        print(brought.text, end="")
        return
    _say_written(brought.kept)
    print("reports/import/llamafactory.md: what became of every key")
    _check()
    if prove:
        with one_line_errors():
            _prove(brought, prove)


def _prove(brought, rows: int) -> None:  # type: ignore[no-untyped-def]
    from functools import cache, partial

    from finery.models.tokenizer import load_tokenizer
    from finery.moving.llamafactory.proof.prove import prove
    from finery.params.schema import load
    from finery.preflight.tokens import step_tokens

    base, params = Path("models/base"), load(Path("params.yaml"))
    ours = partial(step_tokens, params, base)
    say = partial(print, file=sys.stderr)

    tokenizer = cache(load_tokenizer)

    def text(ids: list[int]) -> str:
        return tokenizer(base).decode(ids)

    for line in prove(brought, base, Path(params.data.dataset_dir), rows, ours, text, say):
        print(line)


def _show(brought) -> None:  # type: ignore[no-untyped-def]
    from rich.console import Console
    from rich.table import Table

    from finery.moving.llamafactory.report import outcomes, rows, summary

    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 160
    for draft in brought.drafts:
        table = Table("", "key", "became", "note", box=None, pad_edge=False)
        for cells in rows(draft):
            table.add_row(*cells)
        console.print(f"{draft.source.name} ({draft.source.task})", style="bold")
        console.print(table)
    found = outcomes(brought.drafts)
    console.print(summary(found))
    for each in brought.todo:
        console.print(f"to do: {each}", soft_wrap=True)


def _say_written(kept: Path | None) -> None:
    print(f"params.yaml: written{f'; the old one is {kept}' if kept else ''}")


def _check() -> None:
    """What `finery check` would say now; it is no failure of the import."""
    from finery.params.schema import ParamsError
    from finery.preflight.check import check

    try:
        check(Path("params.yaml"))
    except ParamsError as error:
        print(error, file=sys.stderr)
    else:
        print("params.yaml: valid")
