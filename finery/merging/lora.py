"""Merge a LoRA adapter into its base model, and measure that nothing was lost."""

import warnings
from pathlib import Path
from typing import Any

from finery.errors import PipelineError
from finery.merging.fidelity import compare
from finery.merging.room import insist_on_room
from finery.models.load import load_model
from finery.models.scoring import is_scorer, load_scorer

NOISE, EXACT = 2**-16, 2**-12
"""How far the float32 logits of the sum may be from those of base + adapter, in their norm.

Half of what the adapter does, but no less than rounding may do (1.6e-6 in the 30 layers of
SmolLM2-135M), and no more than half of float32's 24 bits (7e-5 in a random model whose attention
is saturated, the worst that was seen of a right sum).
"""


class MergeError(PipelineError):
    """The merged model is not the base model with its adapter."""


def merge_lora(base: Path, adapter: Path, dtype: str, probes: list[list[int]]) -> tuple[Any, dict]:
    """The merged model in `dtype`, and how its logits compare with base + adapter on `probes`.

    The sum W + (alpha / rank) B A is taken in float32 and rounded once, to `dtype`. Returns the
    model and {"exact": before rounding, "rounded": after}, each as `compare` gives it. Raises
    `MergeError` if the sum itself is off, `RoomError` if `dtype` cannot hold it.
    """
    import torch

    model = _with_adapter(base, adapter)
    expected = _logits(model, probes)
    if not all(logits.isfinite().all() for logits in expected):
        raise MergeError(
            f"{base} with {adapter} gives logits that are NaN or infinite;"
            " train with a smaller learning_rate"
        )
    with model.disable_adapter():
        effect = compare(expected, _logits(model, probes))["relative_difference"]
    merged = _sum(model, base, adapter)
    exact = compare(expected, _logits(merged, probes))
    if not exact["relative_difference"] <= (bound := min(max(effect / 2, NOISE), EXACT)):
        raise MergeError(
            f"merging changed the logits by {exact['relative_difference']:.2g} of their size,"
            f" more than {bound:.2g}: {adapter} does not belong to {base}, or cannot be merged"
        )
    merged = merged.to(getattr(torch, dtype)).float()
    with insist_on_room(merged, dtype):
        rounded = compare(expected, _logits(merged, probes))
    return merged.to(getattr(torch, dtype)), {"exact": exact, "rounded": rounded}


def _with_adapter(base: Path, adapter: Path) -> Any:
    """The base model in float32 under its adapter, neither changed yet."""
    from peft import PeftModel

    load = load_scorer if is_scorer(adapter) else load_model
    model = load(base, "float32")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Found missing adapter keys")
            return PeftModel.from_pretrained(model, adapter).eval()
    except (RuntimeError, ValueError, UserWarning) as error:  # PEFT's, a line for each tensor
        if isinstance(error, RuntimeError) and "size mismatch" not in str(error):
            raise
        raise MergeError(f"{adapter} does not fit {base}; run `dvc repro train` again") from None


def _sum(model: Any, base: Path, adapter: Path) -> Any:
    try:
        return model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # PEFT's, of a sum that is no number
        reason = str(error).partition("\n")[0]
        raise MergeError(f"{adapter} cannot be merged into {base}: {reason}") from None


def _logits(model: Any, probes: list[list[int]]) -> list[Any]:
    import torch

    with torch.inference_mode():
        return [model(input_ids=torch.tensor([ids])).logits[0] for ids in probes]
