"""Which engine computes a model: the one asked for, or the best that is here for it."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from finery.answering.loading import loaded
from finery.answering.variants import Variant
from finery.check.facts import read_model
from finery.check.positions import positions
from finery.errors import UserError
from finery.models.gguf.convert import unknown_architecture
from finery.models.gguf.errors import GgufError
from finery.models.settings import CONFIG, read_settings
from finery.serving.engines import llamacpp
from finery.serving.engines.engine import Engine
from finery.serving.engines.gguf import Weights, gguf_of
from finery.serving.engines.in_process import InProcess
from finery.serving.engines.over_http import OverHttp
from finery.serving.engines.vllm import Vllm

Name = Literal["auto", "transformers", "llamacpp", "vllm"]
VLLM = "FINERY_VLLM"
"""The environment variable with the Python that has vLLM."""
CONTEXT = 4096
"""Tokens that llama.cpp keeps room for, for each answer at once, if the model reads so many."""


class EngineChoiceError(UserError):
    """An engine is not there, or not for this model."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says of the engine; None is what suits."""

    engine: Name = "auto"
    streams: int | None = None
    context: int | None = None
    weights: Weights = "auto"
    threads: int | None = None
    vllm: Path | None = None


def chosen(wanted: Wanted, found: Variant) -> str:
    """The engine's name. Raises `EngineChoiceError` if the one asked for cannot be had."""
    if wanted.weights not in get_args(Weights):
        known = ", ".join(get_args(Weights))
        raise EngineChoiceError(f"--weights {wanted.weights}: there are {known}")
    python = _vllm(wanted)
    reasons = {"vllm": _no_vllm(python, found), "llamacpp": _no_llamacpp(found)}
    if wanted.engine not in get_args(Name):
        raise EngineChoiceError(f"--engine {wanted.engine}: there are {', '.join(get_args(Name))}")
    if wanted.engine != "auto":
        if reason := reasons.get(wanted.engine):
            raise EngineChoiceError(f"--engine {wanted.engine}: {reason}")
        return wanted.engine
    order = ("vllm",) if _has_gpu() else ("llamacpp",)
    return next((name for name in order if not reasons[name]), "transformers")


async def started(
    wanted: Wanted, name: str, found: Variant, say: Callable[[str], None]
) -> tuple[Any, Engine]:
    """The variant's tokenizer, and the engine, which answers."""
    tokenizer, model = await asyncio.to_thread(loaded, found, name == "transformers")
    if name == "transformers":
        return tokenizer, InProcess(model)
    streams = wanted.streams or 8
    if name == "vllm":
        engine = OverHttp(Vllm(_vllm(wanted) or Path(), found.folder, streams, wanted.context))
    else:
        file = await asyncio.to_thread(gguf_of, found.folder, wanted.weights, say)
        limit = positions(read_model(found.folder))
        context = min(wanted.context or CONTEXT, limit or CONTEXT)
        threads = wanted.threads or max(1, (os.cpu_count() or 2) - 1)  # they spin while they wait
        spelt = llamacpp.speller(tokenizer)
        engine = OverHttp(llamacpp.LlamaCpp(file, streams, context, threads, spelt))
    await engine.start()
    return tokenizer, engine


def _no_llamacpp(found: Variant) -> str | None:
    """Why llama.cpp cannot compute a variant."""
    if not llamacpp.is_here():
        return "the package xllamacpp is not installed; pip install 'finery[serve]'"
    if found.adapter:
        return f"{found.name}: an adapter goes on top of a model; serve the merged one"
    config = read_settings(found.folder / CONFIG)
    if config.get("quantization_config"):
        return f"{found.name}: llama.cpp reads full precision or its own; serve merged"
    if config.get("vision_config"):
        return f"{found.name}: models that read images are not converted"
    try:
        return unknown_architecture(config)
    except GgufError as error:
        return str(error)


def _no_vllm(python: Path | None, found: Variant) -> str | None:
    if python is None:
        return f"say which Python has it, by --vllm-python or in {VLLM}"
    if not os.access(python, os.X_OK):
        return f"{python}: no program; name the bin/python of vLLM's environment"
    return f"{found.name}: merge the adapter, and serve that" if found.adapter else None


def _vllm(wanted: Wanted) -> Path | None:
    said = wanted.vllm or os.environ.get(VLLM)
    return Path(said) if said else None


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))
