"""Merge a LoRA adapter into its base model, and measure that nothing was lost."""

import warnings
from pathlib import Path
from typing import Any

from finery.merging.fidelity import MergeError, Probe, bound_of, insist_on_finite, logits, rounded
from finery.models.load import load_model
from finery.models.rope import scaling_of, stretched
from finery.models.scoring import is_scorer, load_scorer


def merge_lora(base: Path, adapter: Path, dtype: str, probes: list[Probe]) -> tuple[Any, dict]:
    """The merged model in `dtype`, and how its logits compare with base + adapter on `probes`.

    The sum W + (alpha / rank) B A is taken in float32 and rounded once, to `dtype`. Returns the
    model and {"exact": before rounding, "rounded": after}, each as `compare` gives it. Raises
    `MergeError` if the sum itself is off, `RoomError` if `dtype` cannot hold it.
    """
    model = _with_adapter(base, adapter)
    expected = logits(model, probes)
    insist_on_finite(expected, base, adapter)
    with model.disable_adapter():
        bound = bound_of(expected, logits(model, probes))
    merged = _sum(model, base, adapter)
    what = f"{adapter} does not belong to {base}, or cannot be merged"
    return rounded(merged, dtype, expected, probes, bound, what)


def _with_adapter(base: Path, adapter: Path) -> Any:
    """The base model in float32 under its adapter, neither changed yet."""
    from peft import PeftModel

    load = load_scorer if is_scorer(adapter) else load_model
    model = load(base, "float32", **stretched(base, scaling_of(adapter)))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Found missing adapter keys")
            return PeftModel.from_pretrained(model, adapter).eval()
    except (RuntimeError, ValueError, UserWarning) as error:  # PEFT's, a line for each tensor
        if isinstance(error, RuntimeError) and "size mismatch" not in str(error):
            raise
        raise MergeError(f"{adapter} does not fit {base}; train it again") from None


def _sum(model: Any, base: Path, adapter: Path) -> Any:
    try:
        return model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # PEFT's, of a sum that is no number
        reason = str(error).partition("\n")[0]
        raise MergeError(f"{adapter} cannot be merged into {base}: {reason}") from None
