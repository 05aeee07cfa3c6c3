"""The model's own weights that a step has trained, put in the places of those it started from."""

import json
from pathlib import Path
from typing import Any

from finery.merging.adapter import OWN, OWN_WEIGHTS
from finery.merging.fidelity import (
    NOISE,
    MergeError,
    Probe,
    given,
    insist_on_finite,
    rounded,
    some,
)
from finery.models.expansion import expand
from finery.models.load import load_model
from finery.models.rope import scaling_of, stretched
from finery.models.scoring import is_scorer, load_scorer


def merge_own_weights(
    base: Path, trained: Path, dtype: str, probes: list[Probe]
) -> tuple[Any, dict]:
    """The model `base` with the weights in `trained`, in `dtype`, and how exact it is on `probes`.

    It is compared with `base` that is called with the trained weights instead of its own; what
    comes back is as from `merge_lora`. Raises `MergeError` if they are no weights of `base`.
    """
    import torch

    model, weights = _start(base, trained), _weights(trained)
    own = dict(model.named_parameters())
    for name, weight in weights.items():
        if name not in own or own[name].shape != weight.shape:
            raise MergeError(
                f"{trained} does not fit {base}, which has no such {name}; train it again"
            )
    expected = _instead(model, weights, probes)
    insist_on_finite(expected, base, trained)
    with torch.no_grad():
        for name, weight in weights.items():
            own[name].copy_(weight)
    return rounded(model, dtype, expected, probes, NOISE, f"{trained} does not belong to {base}")


def _start(base: Path, trained: Path) -> Any:
    """The base model in float32, with as many blocks as were trained."""
    load = load_scorer if is_scorer(trained) else load_model
    model = load(base, "float32", **stretched(base, scaling_of(trained)))
    tuner = json.loads((trained / OWN).read_text(encoding="utf-8"))["tuner"]
    if tuner["type"] == "expansion":
        expand(model, tuner["blocks"])
    return model


def _weights(trained: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    files = sorted(trained.glob(OWN_WEIGHTS))
    return {name: weight for file in files for name, weight in load_file(file).items()}


def _instead(model: Any, weights: dict[str, Any], probes: list[Probe]) -> list[Any]:
    """The logits of a model that is called with these weights in place of its own."""
    import torch
    from torch.func import functional_call

    with torch.inference_mode():
        inputs = [given(probe) for probe in probes]
        return [some(functional_call(model, weights, (), each).logits[0]) for each in inputs]
