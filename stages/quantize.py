"""quantize: the merged model to 4-bit GPTQ or AWQ."""

from pathlib import Path

from finery import lineage
from finery.data.prepared import read_parquet
from finery.models.files import copy_tokenizer
from finery.params.quantize import QuantizeParams
from finery.quantization.progress import logged
from finery.quantization.quantizer import quantize_model


def quantize(
    params: QuantizeParams, format: str, model: Path, data: Path, *, quantized: Path
) -> None:
    """Quantize `model` on the calibration samples in `data`; `format` is gptq or awq."""
    settings = getattr(params, format)
    samples = read_parquet(data / "calibration.parquet")
    tokens = sum(len(sample["input_ids"]) for sample in samples)
    work = Path(".finery/work") / format
    log = Path(".finery/logs") / f"quantize-{format}.log"
    print(f"calibrating on {len(samples)} samples, {tokens} tokens; GPTQModel's log is {log}")
    with logged(log):
        calibration = [sample["input_ids"] for sample in samples]
        quantize_model(model, settings, calibration, quantized, work)
    copy_tokenizer(model, quantized)
    record = {"format": format, **settings.model_dump(), "calibration_tokens": tokens}
    lineage.write(quantized, [model], "quantize", record)


if __name__ == "__main__":
    from finery.stage.run import run

    run(quantize)
