"""What every stage does around its own work: params in, whole outputs or none, one-line errors.

Nothing here may change the bytes of an artefact: dvc.yaml does not list this module among the
dependencies of a stage, so that a new message does not retrain anybody's model.
"""

import argparse
import gc
import inspect
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import psutil

from finery.check.memory.fitting import refuse_what_cannot_fit
from finery.check.memory.room import room
from finery.check.settings import check
from finery.errors import PipelineError, UserError
from finery.params.data import DataParams
from finery.params.recipe import Recipe
from finery.params.report import ComparedParams
from finery.params.schema import Params
from finery.params.step import StepParams
from finery.stage.allocator import give_back_at_once
from finery.stage.lean import load_libraries
from finery.stage.outputs import remove, whole
from finery.stage.resume import checkpoint_folder, forget_committed, keep_until_committed
from finery.stage.timings import timed
from finery.stage.under_dvc import end_with_dvc

DISK_FULL = ("No space left on device", "Disk quota exceeded")
MEMORY_FULL = (
    "MemoryError", "OutOfMemoryError", "allocate memory", "failed to map segment",
)  # fmt: skip
GRACE = 10  # seconds to clean up in, once told to end
QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}


def run(stage: Callable[..., None], argv: list[str] | None = None) -> NoReturn:
    """Run a stage function from the command line and exit.

    The signature is the command line: a first argument that is a section of params.yaml, all of
    it (`Recipe`), or what concerns the `step` of the training that it is called for, comes from
    there, and so does `processes`; positional paths are inputs and must exist; keyword-only
    paths are outputs, handed over as `.partial-NAME` beside their place and renamed once the
    stage returns; `checkpoints` is a folder that outlives a kill. Exit status 2 for bad input,
    1 for a bad outcome.
    """
    for key, value in QUIET.items():
        os.environ.setdefault(key, value)
    name = os.environ.get("DVC_STAGE", stage.__name__)
    half_written: list[Path] = []
    _end_when_told(name, half_written)
    try:
        with timed(name):
            _call(stage, name, argv, half_written)
    except UserError as error:
        sys.exit(_say(name, error, error.exit_status))
    except Exception as error:
        if (message := _full(error)) is None:
            raise
        sys.exit(_say(name, message, PipelineError.exit_status))
    gc.freeze()  # or Python looks through all of torch for garbage before it ends: a second
    sys.exit(0)


def _end_when_told(name: str, half_written: list[Path]) -> None:
    """On Ctrl-C and SIGTERM remove what is half written and exit, there and then.

    An exception would not do: libraries swallow it, or take it for an error of their own, and
    their threads are waited for at the exit.
    """
    stage, screen = os.getpid(), os.dup(2)  # a stage may send its own to a log

    def end(sent: int, _: object) -> None:
        if os.getpid() != stage:  # a worker that was forked, and is ended by its pool
            os._exit(128 + sent)
        signal.alarm(GRACE)  # kills
        for path in half_written:
            with suppress(OSError):  # a thread still writes into it
                remove([path])
        word = "interrupted" if sent == signal.SIGINT else "terminated"
        os.write(screen, f"{name}: {word}; the next run goes on from here\n".encode())
        os._exit(128 + sent)

    for sent in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(sent) != signal.SIG_IGN:
            signal.signal(sent, end)


def _call(
    stage: Callable[..., None], name: str, argv: list[str] | None, half_written: list[Path]
) -> None:
    params = check(Path("params.yaml"))
    arguments, outputs = _bound(stage, name, params, argv)
    _insist_on_memory(params, arguments)
    end_with_dvc(outputs.values())
    forget_committed()
    if resumes := "checkpoints" in inspect.signature(stage).parameters:
        arguments["checkpoints"] = checkpoint_folder(name)
    load_libraries(name, arguments)
    with whole(outputs) as partials:
        half_written.extend(partials.values())
        stage(**arguments, **partials)
    if resumes:
        keep_until_committed(arguments["checkpoints"], name)


def _insist_on_memory(params: Recipe, arguments: dict[str, Any]) -> None:
    """A step of the training that cannot fit is refused before the libraries are loaded."""
    for step in arguments.values():
        if isinstance(step, StepParams) and "start" in arguments:
            prepared = params.data_of(arguments["step"])
            start, data = arguments["start"], arguments["data"]
            if not refuse_what_cannot_fit(step, prepared, start, data, room()):
                give_back_at_once()


def _bound(
    stage: Callable[..., None], name: str, params: Params, argv: list[str] | None
) -> tuple[dict[str, Any], dict[str, Path]]:
    """What the stage is called with, and its outputs. Raises `UserError` for a missing input."""
    arguments = _arguments(stage, argv)
    outputs = {}
    for parameter in inspect.signature(stage).parameters.values():
        if parameter.name == "checkpoints":
            continue
        if parameter.name == "processes":
            wanted = params.resources.processes
            arguments["processes"] = None if wanted == "auto" else wanted
            continue
        if parameter.kind is parameter.KEYWORD_ONLY:
            outputs[parameter.name] = arguments.pop(parameter.name)
        elif parameter.annotation is Path and not arguments[parameter.name].exists():
            raise UserError(f"{(path := arguments[parameter.name])}: missing; {_had(path, name)}")
        elif (section := _section(parameter, params, arguments.get("step"))) is not None:
            arguments[parameter.name] = section
    return arguments, outputs


def _had(path: Path, stage: str) -> str:
    """How an input of a stage is had, if another makes it; and where its name comes from."""
    if path.parts[:1] in (("models",), ("reports",)) or path.parts[:2] == ("data", "prepared"):
        return f"`dvc repro {stage}` makes it"
    return "no stage makes it; put it there, or correct its name in params.yaml"


def _arguments(stage: Callable[..., None], argv: list[str] | None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog=stage.__module__, description=stage.__doc__)
    for parameter in inspect.signature(stage).parameters.values():
        if parameter.annotation in (Path, str) and parameter.name != "checkpoints":
            parser.add_argument(f"--{parameter.name}", type=parameter.annotation, required=True)
    return vars(parser.parse_args(argv))


def _section(parameter: inspect.Parameter, params: Params, step: str | None) -> Any:
    """The part of params.yaml that a parameter is annotated with; None if it is no such part.

    `step` is the step of the training that a stage is called for, if it is. Raises `UserError`.
    """
    if step is not None and step not in params.train:
        raise UserError(f"params.yaml: train has no step {step}; it has {', '.join(params.train)}")
    if parameter.annotation is StepParams:
        return params.train[step]
    if parameter.annotation is DataParams:
        return params.data_of(step)
    if parameter.annotation is ComparedParams:
        return ComparedParams(language=params.report.language, formats=params.quantize.formats)
    if parameter.annotation is Recipe:
        return Recipe.model_construct(
            **{name: getattr(params, name) for name in Recipe.model_fields}
        )
    for name, field in Recipe.model_fields.items():
        if field.annotation is parameter.annotation:
            return getattr(params, name)
    return None


def _full(error: BaseException | None) -> str | None:
    """In words, if it was the disk or the memory that was full; None if neither.

    Libraries wrap both in errors of their own (safetensors, pyarrow, torch): their words are read.
    """
    while error is not None:
        words = f"{type(error).__name__}: {error}"
        if any(sign in words for sign in DISK_FULL):
            free = f"{shutil.disk_usage('.').free / 1e9:.1f} GB free here"
            return f"the disk is full ({free}); make room and run again, nothing is lost"
        if any(sign in words for sign in MEMORY_FULL):
            free = f"{psutil.virtual_memory().available / 1e9:.1f} GB free now"
            return (
                f"the memory is full ({free}); end other programs, or take smaller batches or a"
                " smaller model, and run again, nothing is lost"
            )
        error = error.__cause__ or error.__context__
    return None


def _say(name: str, message: object, status: int) -> int:
    for line in str(message).splitlines():
        print(f"{name}: {line}", file=sys.stderr, flush=True)
    return status
