"""How large the base model is, from the headers of its safetensors files."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from finery.check.settings import model_folder
from finery.models.layer_widths import linears
from finery.models.tensors import tensors
from finery.params.schema import Params
from finery.params.step import StepParams


@dataclass(frozen=True)
class ModelSize:
    parameters: int
    stored: int
    """Bytes of its weights on disk."""
    linears: list[tuple[int, int]]
    """Outputs and inputs of each linear layer inside the decoder blocks."""
    width: int
    layers: int
    vocabulary: int


def model_size(params: Params) -> ModelSize | None:
    """The size of the model that params.yaml names; None while it is not on this machine."""
    folder = model_folder(params)
    found = tensors(folder) if folder else {}
    if folder is None or not found:
        return None
    config = _config(folder / "config.json")
    return ModelSize(
        parameters=sum(math.prod(each["shape"]) for each in found.values()),
        stored=sum(end - start for start, end in (t["data_offsets"] for t in found.values())),
        linears=list(linears(found).values()),
        width=config.get("hidden_size", 0),
        layers=config.get("num_hidden_layers", 0),
        vocabulary=config.get("vocab_size", 0),
    )


def training_bytes(size: ModelSize, params: StepParams, cutoff_len: int, half: bool) -> int:
    """Memory that a step of the training takes at most, in bytes: an estimate.

    The frozen weights; 16 bytes for each trained weight (float32 weight, gradient and Adam's two
    moments); for each token of a batch at full length, 34 bytes per unit of width and layer
    in half precision, attention scores recomputed (Korthikanti et al. 2022, arXiv:2205.05198),
    or 2 with gradient checkpointing plus one whole layer; its logits and their gradients in
    float32. A GB for the runtime.
    """
    scale = 1 if half else 2
    tokens = params.batch[0] * cutoff_len
    if params.gradient_checkpointing:
        a_token = size.width * (2 * size.layers + 34) * scale
    else:
        a_token = size.width * size.layers * 34 * scale
    rank = getattr(params.tuner, "rank", None)
    trained = size.parameters if rank is None else 0
    trained += (rank or 0) * sum(rows + columns for rows, columns in size.linears)
    logits = 8 * size.vocabulary
    return size.parameters * 2 * scale + trained * 16 + tokens * (a_token + logits) + 10**9


def _config(file: Path) -> dict[str, int]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        config |= config.get("text_config") or {}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {key: value for key, value in config.items() if isinstance(value, int)}
