"""`finery serve`: a model behind an API as OpenAI's."""

from pathlib import Path
from typing import Annotated

import typer

from finery.cli.answering import fetched
from finery.cli.errors import one_line_errors

commands = typer.Typer()


@commands.command()
def serve(
    variant: Annotated[
        str,
        typer.Argument(
            help="base, a step of the training, merged, gptq, awq, NAME@STAGE of a release, or the"
            " folder of a model, a package or an adapter."
        ),
    ] = "merged",
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine it takes an API key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="What the API calls the model; by default VARIANT.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Go to each model that is promoted to NAME@STAGE."),
    ] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between looks, to follow.")] = 30,
    engine: Annotated[
        str,
        typer.Option(help="transformers, llamacpp (of finery[serve]), vllm; auto: what is best."),
    ] = "auto",
    streams: Annotated[
        int | None, typer.Option(min=1, max=256, help="Answers at once; 8, with transformers 1.")
    ] = None,
    context: Annotated[
        int | None, typer.Option(min=64, help="Tokens of prompt and answer; llamacpp: 4096.")
    ] = None,
    weights: Annotated[
        str, typer.Option(help="llamacpp's numbers: f16, f32, bf16, q8_0; auto: f16 if they fit.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of llamacpp; by default one less than cores.")
    ] = None,
    vllm_python: Annotated[
        Path | None, typer.Option(help="The python of vLLM's environment, or in FINERY_VLLM.")
    ] = None,
    queue: Annotated[
        int, typer.Option(min=0, help="Answers that may wait; then 429, try again.")
    ] = 64,
    time_limit: Annotated[
        float, typer.Option(min=1, help="Seconds until an answer is cut off.")
    ] = 600,
    body_limit: Annotated[int, typer.Option(min=1, help="MiB of a request.")] = 8,
    api_key_file: Annotated[
        Path | None,
        typer.Option(help="A file of keys, one a line; or one in FINERY_API_KEY."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(help="A web page's origin that may ask, or *; may be repeated."),
    ] = None,
) -> None:
    """Serve a model over an API as OpenAI's, on this machine unless told otherwise."""
    from finery.serving.engines.choice import Wanted
    from finery.serving.start import Options, start

    wanted = Wanted(engine, streams, context, weights, threads, vllm_python)
    options = Options(
        variant, host, port, name, queue, time_limit, body_limit, api_key_file,
        cors_origin or [], follow, every, wanted,
    )  # fmt: skip
    with one_line_errors():
        start(options, fetched)
