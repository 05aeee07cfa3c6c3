"""merge: what a training step learnt into the model it started from, checked against both."""

from pathlib import Path
from typing import Any

from finery import lineage
from finery.data.prepared import read_parquet
from finery.merging.adapter import are_own_weights, refuse_unfit_adapter
from finery.merging.base import refuse_quantized
from finery.merging.fidelity import Probe, logits
from finery.merging.lora import merge_lora
from finery.merging.own_weights import merge_own_weights
from finery.merging.packed import beside_packed
from finery.merging.probes import probes
from finery.merging.streamed.merge import NotByRowsError, merge_by_rows
from finery.models.files import carry_along, save_model
from finery.models.finite import insist_on_numbers, remedy
from finery.models.load import be_quiet
from finery.models.packed import is_packed
from finery.models.policy import keep_policy, policy_of
from finery.models.scoring import is_scorer
from finery.models.settings import CONFIG, read_settings
from finery.params.merge import MergeParams
from finery.to_json import to_json

PROBES = 8


def merge(
    params: MergeParams,
    step: str,
    start: Path,
    adapter: Path,
    data: Path,
    *,
    merged: Path,
    metrics: Path,
) -> None:
    """Write the step's model and how its logits, or scores, compare with those of start + adapter.

    `data` is the calibration folder of the step's data; its first samples are the probes.
    """
    be_quiet()
    refuse_quantized(policy_of(start))
    refuse_unfit_adapter(adapter, start, step)
    start = policy_of(start)
    insist_on_numbers(start, remedy(start))
    insist_on_numbers(adapter, f"train with a smaller train.{step}.learning_rate")
    samples = read_parquet(data / "calibration.parquet")[:PROBES]
    probed = probes(samples, start, data)
    fidelity, after = _merged(start, adapter, params.dtype, probed, merged)
    learnt_on = lineage.read(adapter).get(f"train@{step}", {}).get("quantization")
    if is_packed(learnt_on):
        fidelity["trained"] = beside_packed(start, adapter, after, probed)
    carry_along(start, merged)
    if _words(merged) != _words(start):  # the adapter came with new ones
        carry_along(adapter, merged)
    if is_scorer(adapter):
        keep_policy(start, merged)
    said = {"trained_on": learnt_on} if learnt_on else {}
    if learnt_on:
        print(f"merged into {start} in full precision; it was trained on it in {learnt_on}")
    record = said | {"dtype": params.dtype, "fidelity": fidelity}
    lineage.write(merged, [adapter], f"merge@{step}", record)
    text = to_json(said | fidelity, indent=2)
    metrics.write_text(text + "\n")
    print(text)


def _merged(
    start: Path, adapter: Path, dtype: str, probed: list[Probe], merged: Path
) -> tuple[dict[str, Any], list[Any]]:
    """Write the model, and return how exact it is, and its logits, or scores."""
    try:
        return merge_by_rows(start, adapter, dtype, probed, merged)
    except NotByRowsError as reason:
        print(f"merged with the whole model in memory: {reason}")
    merge_in = merge_own_weights if are_own_weights(adapter) else merge_lora
    model, fidelity = merge_in(start, adapter, dtype, probed)
    save_model(model, merged)
    return fidelity, logits(model.float(), probed)


def _words(model: Path) -> int | None:
    return read_settings(model / CONFIG).get("vocab_size")


if __name__ == "__main__":
    from finery.stage.run import run

    run(merge)
