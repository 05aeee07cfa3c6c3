"""Load any of the pipeline's models to evaluate it: dense or quantized."""

import json
import shutil
from pathlib import Path
from typing import Any

from finery.models import compute_dtype, device, load_model

WORK = Path(".finery/work")


def load_for_evaluation(model: Path) -> Any:
    """The model on its device, in the type it computes in here.

    A GPU runs quantized weights on GPTQModel's kernels. On a CPU those kernels compute in half
    precision, which is emulated and many times slower, so there the same 4-bit weights are
    dequantized to float32: what they have lost is measured either way.
    """
    config = json.loads((model / "config.json").read_text())
    if "quantization_config" not in config:
        return load_model(model, compute_dtype()).to(device())
    if device() == "cpu":
        return _dequantized(model)
    from gptqmodel import GPTQModel

    return GPTQModel.load(str(model), device=device()).model


def _dequantized(model: Path) -> Any:
    import torch
    from gptqmodel.utils.model_dequant import dequantize_model

    work = WORK / f"dequantized-{model.name}"
    shutil.rmtree(work, ignore_errors=True)
    try:
        dequantize_model(model, work, target_dtype=torch.float32)
        return load_model(work, "float32")
    finally:
        shutil.rmtree(work, ignore_errors=True)
