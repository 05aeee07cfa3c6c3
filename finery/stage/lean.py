"""The libraries of a stage, loaded before it begins: those that it computes with and no more."""

import json
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from finery.models.packed import QUANTIZED
from finery.params.optimizers import TORCH
from finery.params.step import StepParams
from finery.stage.beside import BESIDE, without

LIBRARIES = ("transformers.modeling_utils", "transformers.generation.utils")


def load_libraries(stage: str, arguments: dict[str, Any]) -> None:
    """Load what a stage of that name computes with, if it is none of its arguments that needs more.

    To be called in a process that is the stage's alone: a library remembers what it did not find.
    """
    name = stage.partition("@")[0]
    models = [path for path in arguments.values() if isinstance(path, Path)]
    if name not in ("train", "merge", "evaluate") or not all(map(_is_plain, models)):
        return
    steps = [each for each in arguments.values() if isinstance(each, StepParams)]
    if any(step.quantization is not None or step.optim not in TORCH for step in steps):
        return
    with without(BESIDE):
        for library in LIBRARIES:
            import_module(library)
    if name != "evaluate":
        _load_peft()


def _load_peft() -> None:
    with without((*BESIDE, "gptqmodel")):
        import peft.import_utils
        import transformers.trainer  # noqa: F401

        for package in ("bnb", "gptqmodel", "torchao"):  # it asks once, and often only later
            getattr(peft.import_utils, f"is_{package}_available")()


def _is_plain(folder: Path) -> bool:
    """Whether a folder has no model, or one of transformers' own in full precision and no other."""
    if (folder / QUANTIZED).is_dir():
        return False
    with suppress(OSError, ValueError):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return not config.keys() & {"quantization_config", "auto_map"}
    return True
