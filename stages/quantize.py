"""quantize: the merged model to fewer bits, by GPTQ or AWQ, or to GGUF."""

from pathlib import Path
from typing import Any

from finery import lineage
from finery.data.prepared import read_parquet
from finery.models.files import carry_along
from finery.models.finite import insist_on_numbers, remedy
from finery.models.group_size import resolved
from finery.models.layer_widths import layer_widths
from finery.models.load import be_quiet
from finery.models.tensors import tensors
from finery.params.quantize import AwqParams, GptqParams, QuantizeParams
from finery.quantization.apart import quantize_apart
from finery.quantization.calibration import Calibration, calibration, longest_text
from finery.quantization.gguf import quantize_to_gguf
from finery.quantization.trial import insist_on_an_answer

TRIED = 256  # tokens of a sample that the result is tried on


def quantize(
    params: QuantizeParams, format: str, model: Path, data: Path, *, quantized: Path
) -> None:
    """Quantize `model` on the calibration samples in `data`; `format` is gptq, awq or gguf.

    Raises `TrialError` if the result does not load and answer.
    """
    settings = getattr(params, format)
    if format != "gguf":
        settings = resolved(settings, layer_widths(tensors(model)))
    rows = [row["input_ids"] for row in read_parquet(data / "calibration.parquet")]
    insist_on_numbers(model, remedy(model))
    record = {"format": format, **settings.model_dump()}
    if format == "gguf":
        quantize_to_gguf(model, settings, quantized, Path(".finery/work") / format)
    else:
        samples = calibration(rows, longest_text(model))
        record |= _calibrated(model, settings, samples, quantized, format)
    carry_along(model, quantized)
    lineage.write(quantized, [model], "quantize", record)
    be_quiet()
    loss = insist_on_an_answer(quantized, next(filter(None, rows))[:TRIED])
    print(f"it loads and answers; loss on the first calibration sample: {loss:.3f}")


def _calibrated(
    model: Path, settings: GptqParams | AwqParams, samples: Calibration, out: Path, format: str
) -> dict[str, Any]:
    """Quantize by GPTQModel; what to record of it."""
    log = Path(".finery/logs") / f"quantize-{format}.log"
    print(f"calibrating on {samples}; GPTQModel's log is {log}", flush=True)
    work = Path(".finery/work") / format
    unseen = quantize_apart(model, settings, samples.rows, out, work, log)
    if unseen:
        print(f"no sample came by {len(unseen)} layers, rounded to nearest: {unseen[0]} first")
    return {
        "calibration_samples": samples.samples,
        "calibration_tokens": samples.tokens,
        "calibration_sha256": samples.sha256,
        "uncalibrated_layers": len(unseen),
    }


if __name__ == "__main__":
    from finery.stage.run import run

    run(quantize)
