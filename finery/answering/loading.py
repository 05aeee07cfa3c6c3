"""Engines for models that are here, loaded as the evaluation loads them."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from finery.answering.in_process import InProcess
from finery.answering.plain import load_plain
from finery.answering.variants import ADAPTER_WEIGHTS, Variant, VariantError
from finery.models.settings import CONFIG, read_settings
from finery.stage.alone import load_libraries, uncollected
from finery.stage.beside import BESIDE, without

EMBEDDINGS = ("embed_tokens.weight", "lm_head.weight", "wte.weight")
"""Whose rows are tokens, where an adapter has them whole."""
CONVERTED = {"quantization_config", "auto_map"}
"""What config.json has if a model needs other libraries, or code of its own."""


def engines(variants: Sequence[Variant]) -> list[InProcess]:
    """One for each variant, in this process. Raises `VariantError` for what cannot be loaded.

    To be called in a process that loads no other models: it remembers what it did not look for.
    """
    with _quiet():
        _load_libraries(variants)
        found = [(variant, _tokenizer(variant), _model(variant)) for variant in variants]
    return [InProcess(variant, model, tokenizer) for variant, tokenizer, model in found]


def loaded(variant: Variant, with_model: bool = True) -> tuple[Any, Any]:
    """A variant's tokenizer and, if wanted, its model; as `engines` loads them."""
    with _quiet():
        _load_libraries([variant])
        return _tokenizer(variant), _model(variant) if with_model else None


@contextmanager
def _quiet() -> Iterator[None]:
    for noisy in ("tokenicer", "accelerate"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    with redirect_stdout(StringIO()), uncollected():  # GPTQModel greets where answers are written
        yield


def _load_libraries(variants: Sequence[Variant]) -> None:
    """transformers without what it loads beside itself, if no model can need that."""
    configs = [read_settings(variant.folder / CONFIG) for variant in variants]
    if any(config.keys() & CONVERTED for config in configs):
        return
    load_libraries()
    if any(variant.adapter for variant in variants):
        with without((*BESIDE, "gptqmodel")):
            import peft.import_utils

            for package in ("bnb", "gptqmodel", "torchao"):  # it asks once, and often only later
                getattr(peft.import_utils, f"is_{package}_available")()


def _tokenizer(variant: Variant) -> Any:
    from finery.models.load import be_quiet
    from finery.models.tokenizer import load_tokenizer

    be_quiet()
    with _in_one_line(variant):
        return load_tokenizer(variant.wording)


def _model(variant: Variant) -> Any:
    from finery.inference.loading import load_for_inference

    if not any(variant.folder.glob("*.safetensors")):
        raise VariantError(
            f"{variant.where}: a GGUF file alone, which llama.cpp reads; `finery serve` does too"
        )
    with _in_one_line(variant):
        if variant.adapter:
            return _adapted(variant, variant.adapter).eval()
        return (load_plain(variant.folder) or load_for_inference(variant.folder)).eval()


@contextmanager
def _in_one_line(variant: Variant) -> Iterator[None]:
    from safetensors import SafetensorError

    wrong = (ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError, SafetensorError)
    try:
        yield
    except wrong as error:
        said = (" ".join(str(error).split()) or type(error).__name__)[:300]
        raise VariantError(f"{variant.where}: cannot be loaded: {said}") from error


def _adapted(variant: Variant, adapter: Path) -> Any:
    """The model under its adapter, its rotation and vocabulary as while that was trained."""
    from peft import PeftModel

    from finery.inference.loading import load_for_inference
    from finery.models.load import compute_dtype, device, load_model
    from finery.models.rope import scaling_of, stretched

    folder = variant.folder
    if given := stretched(folder, scaling_of(adapter)):
        model = load_model(folder, compute_dtype(), **given).to(device())
    else:
        model = load_plain(folder) or load_for_inference(folder)
    if rows := _vocabulary(adapter):
        model.resize_token_embeddings(rows, mean_resizing=False)
    return PeftModel.from_pretrained(model, adapter)


def _vocabulary(adapter: Path) -> int | None:
    """How many tokens the model had while an adapter was trained; None if it has no say in that."""
    from safetensors import safe_open

    with safe_open(adapter / ADAPTER_WEIGHTS, "pt") as weights:
        whole = [key for key in weights.keys() if key.endswith(EMBEDDINGS)]  # noqa: SIM118
        return weights.get_slice(whole[0]).get_shape()[0] if whole else None
