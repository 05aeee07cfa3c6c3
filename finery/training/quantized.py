"""A model whose linear layers are quantized, mostly as they are loaded, to train an adapter on."""

import logging
from pathlib import Path
from typing import Any

from finery.models.load import load_model
from finery.models.packed import load_packed
from finery.params.quantization import (
    BnbParams,
    HqqParams,
    PackedParams,
    Quantization,
    TorchaoParams,
)


def load_quantized(params: Quantization, model: Path, dtype: str, **settings: Any) -> Any:
    """A causal language model in evaluation mode, its blocks' linear layers in a few bits.

    What is not quantized, and what is computed, is in `dtype` (torch's name). The output layer
    stays as it is. `settings` are transformers'.
    """
    import torch

    if isinstance(params, PackedParams):
        return load_packed(model, dtype, **settings)
    computed = getattr(torch, dtype)
    if isinstance(params, HqqParams):
        return _by_hqq(params, load_model(model, dtype, **settings), computed)
    return load_model(model, dtype, quantization_config=_config(params, computed), **settings)


def in_few_bits(model: Any) -> set[str]:
    """The names of the layers that GPTQModel or hqq has made in place of torch's; no output."""
    output = model.get_output_embeddings()
    return {
        name
        for name, part in model.named_modules()
        if part is not output and any(hasattr(part, kept) for kept in ("qweight", "W_q"))
    }


def in_float32(model: Any) -> None:
    """Hold what is trained in float32: TRL rounds an adapter of a quantized model to bfloat16,
    in which small steps are lost.
    """
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()


def _config(params: BnbParams | TorchaoParams, computed: Any) -> Any:
    from transformers import BitsAndBytesConfig, TorchAoConfig

    if isinstance(params, TorchaoParams):
        from torchao.quantization import Int8WeightOnlyConfig

        return TorchAoConfig(quant_type=Int8WeightOnlyConfig())
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # at each call
    if params.bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=params.type,
        bnb_4bit_use_double_quant=params.double_quant,
        bnb_4bit_compute_dtype=computed,
    )


def _by_hqq(params: HqqParams, model: Any, computed: Any) -> Any:
    """By the library itself: transformers refuses hqq without a GPU, and it runs on CPUs too."""
    import torch
    from hqq.core.quantize import BaseQuantizeConfig
    from hqq.models.hf.base import AutoHQQHFModel

    config = BaseQuantizeConfig(nbits=params.bits, group_size=params.group_size)
    where = "cuda" if torch.cuda.is_available() else "cpu"
    AutoHQQHFModel.quantize_model(model, config, compute_dtype=computed, device=where)
    return model
