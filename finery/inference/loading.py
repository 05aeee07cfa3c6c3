"""Load any of the pipeline's models to have it answer: dense or quantized."""

import json
from pathlib import Path
from typing import Any

from finery import lineage
from finery.models.load import compute_dtype, device, load_model
from finery.models.settings import CONFIG, GGUF, read_settings

PACKED = ("gptq", "awq")
"""What GPTQModel loads; other models transformers does, in few bits or not."""


def load_for_inference(model: Path) -> Any:
    """The model on its device, in the type it computes in here.

    A GPU runs quantized weights on GPTQModel's kernels. On a CPU those kernels compute in half
    precision, which is emulated and many times slower, so there the same 4-bit weights are
    dequantized to float32: what they have lost is measured either way. So are those of a GGUF file,
    on any device: transformers has no kernels for them.
    """
    if (model / GGUF).is_file():
        return _of_gguf(model).to(device())
    config = read_settings(model / CONFIG).get("quantization_config") or {}
    if config.get("quant_method") not in PACKED:
        return load_model(model, compute_dtype()).to(device())
    if device() == "cpu":
        return _dequantized(model)
    from gptqmodel import GPTQModel

    trusted = lineage.trusts_remote_code(model)
    return GPTQModel.load(str(model), device=device(), trust_remote_code=trusted).model


def _of_gguf(model: Path) -> Any:
    """The weights of a GGUF file in a model of the config.json beside it."""
    from transformers import AutoConfig, GgufConfig

    trusted = lineage.trusts_remote_code(model)
    config = AutoConfig.from_pretrained(model, local_files_only=True, trust_remote_code=trusted)
    settings = {"gguf_file": GGUF, "quantization_config": GgufConfig(dequantize=True)}
    return load_model(model, compute_dtype(), config=config, **settings)


def _dequantized(model: Path) -> Any:
    """The quantized model with plain float32 layers of the very weights its 4 bits stand for."""
    import torch
    from gptqmodel import BACKEND, GPTQModel
    from safetensors.torch import load_file

    config = json.loads((model / "config.json").read_text())["quantization_config"]
    backend = BACKEND.AWQ_TORCH if config["quant_method"] == "awq" else BACKEND.GPTQ_TORCH
    loaded = GPTQModel.load(
        str(model),
        device="cpu",
        backend=backend,
        dtype=torch.float16,
        trust_remote_code=lineage.trusts_remote_code(model),
    ).model
    packed = [(name, part) for name, part in loaded.named_modules() if hasattr(part, "qweight")]
    for name, part in packed:
        loaded.set_submodule(name, _linear(_weight(part), part.bias))
    loaded = loaded.float().eval()
    for file in sorted(model.glob("*.safetensors")):  # what is dense, as it was before float16
        loaded.load_state_dict(load_file(file), strict=False)
    return loaded


def _weight(packed: Any) -> Any:
    """The (in, out) matrix a packed layer multiplies with; AWQ's layer has no method for it.

    GPTQ's is taken from the class: the layer's own is compiled, which takes a C++ compiler and
    longer than it saves.
    """
    from gptqmodel.nn_modules.qlinear.torch_awq import AwqTorchLinear
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm

    if not isinstance(packed, AwqTorchLinear):
        return type(packed).dequantize_weight(packed)
    return dequantize_gemm(
        qweight=packed.qweight,
        qzeros=packed.qzeros,
        scales=packed.scales,
        bits=packed.bits,
        group_size=packed.group_size,
    )


def _linear(weight: Any, bias: Any) -> Any:
    import torch

    linear = torch.nn.Linear(*weight.shape, bias=bias is not None, device="meta")
    linear.weight = torch.nn.Parameter(weight.T.float().contiguous(), requires_grad=False)
    if bias is not None:
        linear.bias = torch.nn.Parameter(bias.float(), requires_grad=False)
    return linear
