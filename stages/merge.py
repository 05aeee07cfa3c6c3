"""merge: the adapter into the base model, checked against base + adapter."""

from pathlib import Path

from finery import lineage
from finery.data.prepared import read_parquet
from finery.merging.adapter import refuse_unfit_adapter
from finery.merging.lora import merge_lora
from finery.models.files import carry_along, save_model
from finery.models.finite import insist_on_numbers
from finery.models.load import be_quiet
from finery.params.merge import MergeParams
from finery.to_json import to_json

PROBES = 8


def merge(
    params: MergeParams, base: Path, adapter: Path, data: Path, *, merged: Path, metrics: Path
) -> None:
    """Write the merged model and how its logits compare with those of base + adapter.

    `data` is the calibration folder of the prepared data; its first samples are the probes.
    """
    be_quiet()
    refuse_unfit_adapter(adapter, base)
    insist_on_numbers(base, "take another revision, or another model (model.source)")
    insist_on_numbers(adapter, "train with a smaller train.learning_rate")
    samples = read_parquet(data / "calibration.parquet")[:PROBES]
    model, fidelity = merge_lora(base, adapter, params.dtype, [s["input_ids"] for s in samples])
    save_model(model, merged)
    carry_along(base, merged)
    lineage.write(merged, [adapter], "merge", {"dtype": params.dtype, "fidelity": fidelity})
    text = to_json(fidelity, indent=2)
    metrics.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    from finery.stage.run import run

    run(merge)
