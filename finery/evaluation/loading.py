"""Load any of the pipeline's models to evaluate it: dense or quantized."""

import json
from pathlib import Path
from typing import Any

from finery.models import compute_dtype, device, load_model


def load_for_evaluation(model: Path) -> Any:
    """The model on its device, in the type it computes in here.

    Quantized weights run on GPTQModel's kernels; on a CPU the portable torch kernel is asked
    for, since the fast one compiles for minutes at the first load.
    """
    config = json.loads((model / "config.json").read_text())
    if "quantization_config" in config:
        return _load_quantized(model)
    return load_model(model, compute_dtype()).to(device())


def _load_quantized(model: Path) -> Any:
    from gptqmodel import BACKEND, GPTQModel

    here = device()
    backend = BACKEND.AUTO
    if here == "cpu":
        method = json.loads((model / "config.json").read_text())["quantization_config"]
        backend = BACKEND.AWQ_TORCH if method["quant_method"] == "awq" else BACKEND.GPTQ_TORCH
    return GPTQModel.load(str(model), device=here, backend=backend).model
