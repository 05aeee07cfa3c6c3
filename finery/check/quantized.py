"""Whether a model in GPTQ or AWQ can be trained on, and is the same as one in full precision."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.check.facts import Model, read_model
from finery.check.model import ModelError, odd_files

METHODS = ("gptq", "awq")
FORMATS = ("gptq", "gptq_v2", "gemm")
"""How the weights lie in their files; others are for one kernel on a GPU, without gradients."""
GROUPS = (16, 32, 64, 128)
SAME = (
    "model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "vocab_size",
)  # fmt: skip
"""What config.json says of a model, in whatever bits its weights are."""


def quantized_problem(model: Model, dense: Model) -> str | None:
    """Why the first cannot be trained on in the place of the second; None if it can, or is none."""
    return next(_problems(model, dense), None) if model.is_one else None


def refuse_unlike(folder: Path, base: Path, source: str) -> None:
    """Raises `ModelError` if the model in `folder` cannot stand for the one in `base`."""
    with odd_files():
        problem = quantized_problem(read_model(folder), read_model(base))
    if problem:
        raise ModelError(f"model.quantized: {source}: {problem}")


def _problems(model: Model, dense: Model) -> Iterator[str]:
    said: dict[str, Any] = model.config.get("quantization_config") or {}
    method = said.get("quant_method")
    if not method:
        yield (
            "its weights are in full precision, and it is for those in GPTQ or AWQ; take it out:"
            " quantization: {method: bnb} in a step quantizes model.source as it is loaded"
        )
    elif method not in METHODS:
        yield (
            f"its weights are in {method}, and it is for GPTQ or AWQ; take it out:"
            " quantization: {method: bnb} in a step quantizes model.source as it is loaded"
        )
    elif said.get("bits") != 4 or said.get("group_size") not in GROUPS:
        yield (
            f"its weights are in {said.get('bits')} bits in groups of {said.get('group_size')};"
            f" name one in 4 bits in groups of {', '.join(map(str, GROUPS[:-1]))} or {GROUPS[-1]}"
        )
    elif (form := _format(said)) not in (None, *FORMATS):
        yield f"its weights are laid out for {form}; name one in the format gptq or gemm"
    for key in SAME:
        ours, theirs = model.text.get(key), dense.text.get(key)
        if dense.is_one and None not in (ours, theirs) and ours != theirs:
            yield (
                f"{key} is {ours}, and {theirs} of model.source; set model.source to the model that"
                " it was made of"
            )


def _format(said: dict[str, Any]) -> str | None:
    keys = ("checkpoint_format", "format", "version")
    return next((str(said[key]).lower() for key in keys if said.get(key)), None)
