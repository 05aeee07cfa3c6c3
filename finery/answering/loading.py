"""Engines for models that are here, loaded as the evaluation loads them."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from finery.answering.in_process import InProcess
from finery.answering.variants import Variant, VariantError
from finery.models.settings import read_settings
from finery.stage.beside import BESIDE, without

LIBRARIES = ("transformers.modeling_utils", "transformers.generation.utils")


def engines(variants: Sequence[Variant]) -> list[InProcess]:
    """One for each variant, in this process. Raises `VariantError` for what cannot be loaded.

    To be called in a process that loads no other models: it remembers what it did not look for.
    """
    with _quiet():
        _load_libraries(variants)
        found = [(variant, _tokenizer(variant), _model(variant)) for variant in variants]
    return [InProcess(variant.folder, model, tokenizer) for variant, tokenizer, model in found]


def loaded(variant: Variant, with_model: bool = True) -> tuple[Any, Any]:
    """A variant's tokenizer and, if wanted, its model; as `engines` loads them."""
    with _quiet():
        _load_libraries([variant])
        return _tokenizer(variant), _model(variant) if with_model else None


@contextmanager
def _quiet() -> Iterator[None]:
    for noisy in ("tokenicer", "accelerate"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    with redirect_stdout(StringIO()):  # it is the answers', and GPTQModel greets there
        yield


def _load_libraries(variants: Sequence[Variant]) -> None:
    """transformers without what it loads beside itself, if no model can need that."""
    configs = [read_settings(variant.folder / "config.json") for variant in variants]
    if any(config.keys() & {"quantization_config", "auto_map"} for config in configs):
        return
    with without((*BESIDE, "gptqmodel")):
        for library in LIBRARIES:
            import_module(library)
        if any(variant.adapter for variant in variants):
            import peft.import_utils

            for package in ("bnb", "gptqmodel", "torchao"):  # it asks once, and often only later
                getattr(peft.import_utils, f"is_{package}_available")()


def _tokenizer(variant: Variant) -> Any:
    from finery.models.load import be_quiet
    from finery.models.tokenizer import load_tokenizer

    be_quiet()
    with _in_one_line(variant):
        return load_tokenizer(variant.folder)


def _model(variant: Variant) -> Any:
    from finery.inference.loading import load_for_inference

    with _in_one_line(variant):
        if variant.adapter:
            return _adapted(variant.folder, variant.adapter).eval()
        return load_for_inference(variant.folder).eval()


@contextmanager
def _in_one_line(variant: Variant) -> Iterator[None]:
    try:
        yield
    except (ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        said = (" ".join(str(error).split()) or type(error).__name__)[:300]
        raise VariantError(f"{variant.where}: cannot be loaded: {said}") from error


def _adapted(folder: Path, adapter: Path) -> Any:
    """The model under its adapter, its rotation as it was while that was trained."""
    from peft import PeftModel

    from finery.inference.loading import load_for_inference
    from finery.models.load import compute_dtype, device, load_model
    from finery.models.rope import scaling_of, stretched

    if given := stretched(folder, scaling_of(adapter)):
        model = load_model(folder, compute_dtype(), **given).to(device())
    else:
        model = load_for_inference(folder)
    return PeftModel.from_pretrained(model, adapter)
