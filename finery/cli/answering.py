"""`finery chat` and `finery predict`: talk to the models, and have them answer files."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from finery.cli.errors import one_line_errors

commands = typer.Typer()
SAMPLING = (
    "temperature", "top_p", "top_k", "seed", "repetition_penalty", "max_new_tokens", "stop",
)  # fmt: skip
Variants = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[VARIANT]...",
        help="base, a step of the training, merged, gptq, awq, NAME@STAGE of a release, or the"
        " folder of a model, a package or an adapter; by default merged.",
    ),
]


@commands.command()
def chat(
    variants: Variants = None,
    once: Annotated[
        str | None, typer.Option("--once", "-q", help="Answer this question, and end.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Ask all the VARIANTs, side by side.")
    ] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Answer each line of JSON of standard input with one.")
    ] = False,
    system: Annotated[str, typer.Option(help="A system prompt.")] = "",
    load: Annotated[Path | None, typer.Option(help="Go on with what /save wrote.")] = None,
    tools: Annotated[Path | None, typer.Option(help="A JSON file of tools to call.")] = None,
    base: Annotated[
        Path | None, typer.Option(help="The model that an adapter from elsewhere goes on.")
    ] = None,
    image: Annotated[
        list[Path] | None, typer.Option(help="An image that goes with --once; may be repeated.")
    ] = None,
    thinking: Annotated[
        bool | None,
        typer.Option("--thinking/--no-thinking", help="Have it think first; else as it is."),
    ] = None,
    show_thinking: Annotated[
        bool, typer.Option("--show-thinking", help="Show what it thinks, too.")
    ] = False,
    temperature: Annotated[
        float | None, typer.Option(help="0: greedy. This and the next: else as the model has it.")
    ] = None,
    top_p: Annotated[float | None, typer.Option()] = None,
    top_k: Annotated[int | None, typer.Option(help="0: all tokens.")] = None,
    repetition_penalty: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option(help="The same answer every time.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option()] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="A text that ends the answer; may be repeated.")
    ] = None,
) -> None:
    """Talk to a model in the terminal; with --once, --jsonl or a pipe, in a script."""
    sampling = _sampling(locals())
    from finery.answering.chat.start import Asked, start

    asked = Asked(
        variants or ["merged"], once, compare, jsonl, system, load, tools, thinking, show_thinking,
        image or [],
        sampling,
        base,
    )  # fmt: skip
    with one_line_errors():
        start(asked, fetched)


@commands.command()
def predict(
    variant: Annotated[
        str, typer.Argument(metavar="VARIANT", help="A model, as `finery chat` takes them.")
    ],
    questions: Annotated[
        Path,
        typer.Option(
            "--input", help="The questions: a file of a dataset, or of messages or prompts."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Where the answers go; a run that is cut off goes on then."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions answered at once.")] = 8,
    base: Annotated[
        Path | None, typer.Option(help="The model that an adapter from elsewhere goes on.")
    ] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="By default 128.")] = None,
    temperature: Annotated[float | None, typer.Option(help="By default 0: greedy.")] = None,
    top_p: Annotated[float | None, typer.Option()] = None,
    top_k: Annotated[int | None, typer.Option(help="0: all tokens.")] = None,
    repetition_penalty: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option(help="By default 42.")] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="A text that ends the answer; may be repeated.")
    ] = None,
) -> None:
    """Answer a file of questions, as the evaluation does: a line of JSON for each."""
    sampling = _sampling(locals())
    with one_line_errors():
        from finery.predicting.predict import Wanted
        from finery.predicting.predict import predict as answered

        answered(Wanted(variant, questions, output, batch_size, sampling, base), fetched)


def fetched(release: str) -> Path:
    """The folder of a release, brought here and verified if it is not yet."""
    from finery.packaging.verify import verify
    from finery.releases.fetch import brought

    return brought(Path(), release, verify, lambda line: print(line, file=sys.stderr))


def _sampling(options: dict[str, Any]) -> dict[str, Any]:
    """Those of a command's options that say how answers are drawn, as far as they are given."""
    return {name: options[name] for name in SAMPLING if options[name] not in (None, [])}
