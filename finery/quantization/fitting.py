"""Whether GPTQModel can quantize a model, asked before it spends time on it."""

import json
from collections.abc import Iterator
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.lineage import trusts_remote_code
from finery.models.group_size import Quantized, fitting, undivided, unmatched
from finery.models.layer_widths import layer_widths
from finery.models.tensors import tensors

LONGEST = 200  # characters of a reason: some hold the whole model


class UnfitError(UserError):
    """The model or its settings are not for this quantizer."""


def load(model: Path, config: Any, device: str) -> Any:
    """GPTQModel's view of a model, its weights still in their files; `config` is its own.

    Where GPTQModel has another name for the head than transformers (GPT-NeoX), it would miss the
    head's file at the end: such a model is read whole into memory. Raises `UnfitError` if GPTQModel
    knows no such model, or its settings do not fit.
    """
    if _config(model).get("vision_config"):
        raise UnfitError(
            f"{model}: models that read images are not quantized; use it as it is, or take a base"
            " model of text alone (model.source)"
        )
    loaded = _load(model, deepcopy(config), device)
    if loaded.lm_head in dict(loaded.model.named_modules()):
        return loaded
    config.offload_to_disk = False
    return _load(model, config, device)


def _load(model: Path, config: Any, device: str) -> Any:
    from gptqmodel import GPTQModel

    try:
        return GPTQModel.load(
            str(model),
            config,
            device=device,
            dtype=_dtype(model),
            trust_remote_code=trusts_remote_code(model),
        )
    except (ValueError, TypeError, LookupError, AttributeError, NotImplementedError) as error:
        kind = _config(model).get("model_type")
        reason = str(error).partition("\n")[0][:LONGEST]
        raise UnfitError(
            f"{model}: GPTQModel {version('gptqmodel')} cannot quantize a model of type {kind}"
            f" ({reason}); take another base model (model.source)"
        ) from error


def refuse_unmatched(model: Path, params: Quantized, format: str) -> None:
    """Raise `UnfitError` if a pattern of the settings names no layer of a model's files."""
    if problem := unmatched(params, layer_widths(tensors(model))):
        raise UnfitError(f"quantize.{format}.{problem}")


def insist_on_fit(loaded: Any, params: Quantized, format: str) -> None:
    """Raise `UnfitError` if a layer that would be quantized does not divide into whole groups.

    GPTQModel rounds such a layer in silence, and its kernels refuse the result when it is served.
    """
    widths = {name: _width(name, layer, format) for name, layer in _layers(loaded)}
    if not widths:
        raise UnfitError("GPTQModel finds no layer to quantize; take another base model")
    if bad := list(undivided(params, widths)):
        name, _, size = bad[0]
        found = ", ".join(map(str, sorted({width for _, width, _ in bad})))
        raise UnfitError(
            f"quantize.{format}.group_size: {size} does not divide the layer widths {found}"
            f" ({name}); {fitting(params, widths)}"
        )


def _layers(loaded: Any) -> Iterator[tuple[str, Any]]:
    """The layers that will be quantized and their names, as GPTQModel chooses them."""
    from gptqmodel.utils.model import find_modules, get_layers_with_prefixes

    config = loaded.quantize_config
    wanted = loaded.simple_layer_modules(
        model_config=loaded.model.config,
        quantize_config=config,
        is_awq_quantize=config.method == "awq",
    )
    names = {name for block in wanted for name in block}
    blocks, prefixes = get_layers_with_prefixes(loaded.model, loaded.extract_layers_node())
    for block, prefix in zip(blocks, prefixes, strict=True):
        for name, layer in find_modules(block).items():
            if name in names:
                yield f"{prefix}.{name}", layer


def _width(name: str, layer: Any, format: str) -> int:
    """How many numbers go into a layer: a Conv1D, as in GPT-2, is a linear layer turned over."""
    import torch

    if isinstance(layer, torch.nn.Linear):
        return layer.in_features
    if format == "awq":
        raise UnfitError(
            f"quantize.awq: {name} is a {type(layer).__name__}, which AWQ cannot scale"
        )
    return layer.weight.shape[0]


def _dtype(model: Path) -> Any:
    """The type to keep in what is not quantized: the model's if it is half precision.

    Kernels of 4-bit weights compute in no other, so a float32 model becomes bfloat16, whose range
    is the same.
    """
    import torch

    config = _config(model)
    name = config.get("dtype") or config.get("torch_dtype")
    return torch.float16 if name == "float16" else torch.bfloat16


def _config(model: Path) -> dict[str, Any]:
    return json.loads((model / "config.json").read_text(encoding="utf-8"))
