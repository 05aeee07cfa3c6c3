"""Quantize a model with GPTQModel to GPTQ or AWQ, on a GPU or a CPU."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from finery import lineage
from finery.params.quantize import AwqParams, GptqParams
from finery.quantization.overrides import linear_in_float32, without_clipping

SEED = 0
BATCH = 16
LOG = "quant_log.csv"


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
    on_gpu = torch.cuda.is_available()
    packer = {}
    with ExitStack() as context:
        context.enter_context(_working_folder(work))
        if not on_gpu:
            context.enter_context(linear_in_float32())
        if isinstance(params, AwqParams) and not params.clip:
            context.enter_context(without_clipping())
        if isinstance(params, AwqParams) and not on_gpu:
            packer = {"backend": BACKEND.AWQ_TORCH}  # the default one wants CUDA
        loaded = GPTQModel.load(
            str(model),
            _config(params, work),
            device="cuda:0" if on_gpu else "cpu",
            dtype=torch.bfloat16,
            trust_remote_code=lineage.trusts_remote_code(model),
        )
        samples = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in calibration]
        loaded.quantize(samples, batch_size=1 if on_gpu else BATCH, **packer)
        loaded.save(str(out))
    _tidy(out)


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


def _tidy(out: Path) -> None:
    """Keep what serves: no timings, no name of a working folder; readable by everybody."""
    (out / LOG).unlink(missing_ok=True)
    for name in ("config.json", "quantize_config.json"):
        config = json.loads((out / name).read_text())
        quantization = config.get("quantization_config", config)
        quantization["meta"].pop("offload_to_disk_path", None)
        (out / name).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for file in out.iterdir():
        file.chmod(0o644)


@contextmanager
def _working_folder(work: Path) -> Iterator[None]:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(work, ignore_errors=True)
