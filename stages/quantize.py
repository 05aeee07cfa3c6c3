"""quantize: the merged model to 4-bit GPTQ or AWQ."""

from pathlib import Path

from finery import lineage
from finery.data.prepared import read_parquet
from finery.models.files import carry_along
from finery.models.finite import insist_on_numbers, remedy
from finery.params.quantize import QuantizeParams
from finery.quantization.apart import quantize_apart
from finery.quantization.calibration import calibration, longest_text


def quantize(
    params: QuantizeParams, format: str, model: Path, data: Path, *, quantized: Path
) -> None:
    """Quantize `model` on the calibration samples in `data`; `format` is gptq or awq."""
    settings = getattr(params, format)
    rows = read_parquet(data / "calibration.parquet")
    samples = calibration([row["input_ids"] for row in rows], longest_text(model))
    insist_on_numbers(model, remedy(model))
    log = Path(".finery/logs") / f"quantize-{format}.log"
    print(f"calibrating on {samples}; GPTQModel's log is {log}", flush=True)
    work = Path(".finery/work") / format
    unseen = quantize_apart(model, settings, samples.rows, quantized, work, log)
    if unseen:
        print(f"no sample came by {len(unseen)} layers, rounded to nearest: {unseen[0]} first")
    carry_along(model, quantized)
    record = {
        "format": format,
        **settings.model_dump(),
        "calibration_samples": samples.samples,
        "calibration_tokens": samples.tokens,
        "uncalibrated_layers": len(unseen),
    }
    lineage.write(quantized, [model], "quantize", record)


if __name__ == "__main__":
    from finery.stage.run import run

    run(quantize)
