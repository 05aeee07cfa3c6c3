"""Quantize a model with GPTQModel to GPTQ or AWQ, on a GPU or a CPU."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from finery.params.quantize import AwqParams, GptqParams
from finery.quantization.clipping import without_clipping

SEED = 0


def quantize_model(
    model: Path, params: GptqParams | AwqParams, calibration: list[list[int]], out: Path, work: Path
) -> None:
    """Write the quantized weights and config of `model` to `out`.

    `calibration` are samples as token ids; `work` is a folder for GPTQModel's working copy, as
    large as the model, which is removed at the end.
    """
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")  # its pools need two on small machines
    import torch
    from gptqmodel import BACKEND, GPTQModel

    torch.manual_seed(SEED)
    samples = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in calibration]
    here = "cuda:0" if torch.cuda.is_available() else "cpu"
    awq_on_cpu = isinstance(params, AwqParams) and here == "cpu"
    backend = {"backend": BACKEND.AWQ_TORCH} if awq_on_cpu else {}
    clipping = nullcontext() if getattr(params, "clip", True) else without_clipping()
    with _working_folder(work), clipping:
        loaded = GPTQModel.load(str(model), _config(params, work), device=here, dtype=_dtype(here))
        loaded.quantize(samples, batch_size=1, **backend)
        loaded.save(str(out))
    for file in out.iterdir():
        file.chmod(0o644)


def _config(params: GptqParams | AwqParams, work: Path) -> Any:
    from gptqmodel import QuantizeConfig
    from gptqmodel.quantization.config import FORMAT, METHOD

    shared = {
        "bits": params.bits,
        "group_size": params.group_size,
        "offload_to_disk": True,
        "offload_to_disk_path": str(work),
    }
    if isinstance(params, AwqParams):
        return QuantizeConfig(**shared, sym=False, quant_method=METHOD.AWQ, format=FORMAT.GEMM)
    return QuantizeConfig(
        **shared, sym=True, desc_act=params.desc_act, damp_percent=params.damp_percent
    )


def _dtype(device: str) -> Any:
    import torch

    return torch.bfloat16 if device == "cpu" or torch.cuda.is_bf16_supported() else torch.float16


@contextmanager
def _working_folder(work: Path) -> Iterator[None]:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(work, ignore_errors=True)
