"""Quantize a model with GPTQModel to GPTQ or AWQ, on a GPU or a CPU."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from finery.errors import PipelineError
from finery.models.finite import no_number
from finery.params.quantize import AwqParams, GptqParams
from finery.quantization.fitting import insist_on_fit, load, refuse_unmatched
from finery.quantization.on_cpu import awq_by_halving, each_product_once, gptq_by_blocks
from finery.quantization.overrides import linear_in_float32, without_clipping

SEED = 0
BATCH = 16
LOG = "quant_log.csv"
MORE_ROOM = "a merge.dtype of bfloat16 has more room than float16"


class QuantizerError(PipelineError):
    """The quantizer failed, or was killed, at its work."""


def quantize_model(
    model: Path, params: GptqParams | AwqParams, calibration: list[list[int]], out: Path, work: Path
) -> list[str]:
    """Write the quantized weights and config of `model` to `out`, the rest in the model's type.

    `calibration` are samples as token ids; `work` is a folder for GPTQModel's working copy, as
    large as the model, which is removed at the end. Returns the layers that no sample came by,
    such as experts nobody was sent to: those are rounded to nearest. Raises `UnfitError`, before
    any time is spent, if GPTQModel cannot quantize the model, or not into groups of this size;
    `QuantizerError` if numbers on the way or in the result are none.
    """
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")  # its pools need two on small machines
    import torch
    from gptqmodel import BACKEND

    torch.manual_seed(SEED)
    on_gpu = torch.cuda.is_available()
    is_awq = isinstance(params, AwqParams)
    packer = {"backend": BACKEND.AWQ_TORCH} if is_awq and not on_gpu else {}  # else it wants CUDA
    with ExitStack() as context:
        context.enter_context(_working_folder(work))
        if not on_gpu:
            context.enter_context(linear_in_float32())
            for arrange in (awq_by_halving,) if is_awq else (each_product_once, gptq_by_blocks):
                context.enter_context(arrange())
        if is_awq and not params.clip:
            context.enter_context(without_clipping())
        refuse_unmatched(model, params, "awq" if is_awq else "gptq")
        loaded = load(model, _config(params, work), "cuda:0" if on_gpu else "cpu")
        insist_on_fit(loaded, params, "awq" if is_awq else "gptq")
        samples = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in calibration]
        loaded.quantize(samples, batch_size=1 if on_gpu else BATCH, **packer)
        unseen = _unseen(loaded.quant_log)
        loaded.save(str(out))
    _tidy(out)
    if (found := no_number(out)) is not None:
        raise QuantizerError(f"{found[1]} became NaN or infinite; {MORE_ROOM}")
    return unseen


def _unseen(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The layers without samples, in GPTQModel's own records of every layer.

    Raises `QuantizerError` for one that GPTQ gave up solving, and rounded to nearest in silence:
    what comes into it is NaN or infinite.
    """
    unseen = []
    for record in records:
        name, loss = f"layer {record['layer'] + 1}, {record['module']}", str(record["loss"])
        if loss.startswith("fallback") or record.get("activation_raw_tokens") == 0:
            unseen.append(name)
        elif "fallback" in loss:
            raise QuantizerError(f"{name}: what comes into it is NaN or infinite; {MORE_ROOM}")
    return unseen


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
    sizes = [params.group_size, *(each.group_size for each in params.layers.values())]
    return QuantizeConfig(
        **shared,
        sym=params.sym,
        desc_act=params.desc_act,
        act_group_aware=None if -1 not in sizes and not params.desc_act else False,
        damp_percent=params.damp_percent,
        dynamic=_by_layer(params),
    )


def _by_layer(params: GptqParams) -> dict[str, dict[str, int]] | None:
    """The settings of single layers, in GPTQModel's form: matched from the beginning of a name."""
    rules: dict[str, dict[str, int]] = {f"-:.*?(?:{pattern})": {} for pattern in params.exclude}
    rules |= {
        f"+:.*?(?:{pattern})": each.model_dump(exclude_none=True)
        for pattern, each in params.layers.items()
    }
    return rules or None


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
