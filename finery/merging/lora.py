"""Merge a LoRA adapter into its base model, and measure that nothing was lost."""

from pathlib import Path
from typing import Any

from finery.errors import PipelineError
from finery.merging.fidelity import compare
from finery.models.load import load_model

EXACT = 1e-3
"""Largest difference of logits, in float32, between base + adapter and their sum."""


class MergeError(PipelineError):
    """The merged model is not the base model with its adapter."""


def merge_lora(base: Path, adapter: Path, dtype: str, probes: list[list[int]]) -> tuple[Any, dict]:
    """The merged model in `dtype`, and how its logits compare with base + adapter on `probes`.

    The sum W + (alpha / rank) B A is taken in float32 and rounded once, to `dtype`. Returns the
    model and {"exact": before rounding, "rounded": after}, each as `compare` gives it. Raises
    `MergeError` if the sum itself is off.
    """
    import torch
    from peft import PeftModel

    try:
        model = PeftModel.from_pretrained(load_model(base, "float32"), adapter).eval()
    except RuntimeError:  # PEFT's, with a line for each tensor of another shape
        raise MergeError(f"{adapter} does not fit {base}; run `dvc repro train` again") from None
    expected = _logits(model, probes)
    merged = model.merge_and_unload(safe_merge=True)
    exact = compare(expected, _logits(merged, probes))
    if not exact["max_logit_difference"] <= EXACT:
        raise MergeError(
            f"merging changed the logits by {exact['max_logit_difference']:.2g},"
            f" more than {EXACT}: {adapter} does not belong to {base}, or cannot be merged"
        )
    merged = merged.to(getattr(torch, dtype))
    rounded = compare(expected, _logits(merged.float(), probes))
    return merged.to(getattr(torch, dtype)), {"exact": exact, "rounded": rounded}


def _logits(model: Any, probes: list[list[int]]) -> list[Any]:
    import torch

    with torch.inference_mode():
        return [model(input_ids=torch.tensor([ids])).logits[0] for ids in probes]
