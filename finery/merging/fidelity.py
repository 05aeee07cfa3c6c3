"""How close one model's logits, or scores, are to another's."""

from typing import Any

from finery.errors import PipelineError
from finery.merging.room import insist_on_room, no_room_for

Probe = list[int] | dict[str, Any]
"""The tokens of a text; of one with images all that the model takes of it, as tensors."""
PLACES = 128
NOISE, EXACT = 2**-16, 2**-12
"""How far the float32 logits of the sum may be from those of base + adapter, in their norm.

Half of what the adapter does, but no less than rounding may do (1.6e-6 in the 30 layers of
SmolLM2-135M), and no more than half of float32's 24 bits (7e-5 in a random model whose attention
is saturated, the worst that was seen of a right sum).
"""


class MergeError(PipelineError):
    """The merged model is not the model it started from with what was trained."""


def bound_of(expected: list[Any], without: list[Any]) -> float:
    """How far the logits of the sum may be from those of base + adapter; `without`, of the base."""
    return min(max(compare(expected, without)["relative_difference"] / 2, NOISE), EXACT)


def insist_on_exact(exact: dict[str, float], bound: float, what: str) -> None:
    """Raises `MergeError`, saying `what` may be wrong, if the sum is off by more than `bound`."""
    if not exact["relative_difference"] <= bound:
        raise MergeError(
            f"merging changed the logits by {exact['relative_difference']:.2g} of their size,"
            f" more than {bound:.2g}: {what}"
        )


def rounded(
    merged: Any, dtype: str, expected: list[Any], probes: list[Probe], bound: float, what: str
) -> tuple[Any, dict]:
    """The model in `dtype`, rounded once, and how its logits compare with those `expected`.

    Returns the model and {"exact": before rounding, "rounded": after}, each as `compare` gives it.
    Raises `MergeError`, saying `what` may be wrong, if already before it is off by more than
    `bound`, `RoomError` if `dtype` cannot hold it.
    """
    import torch

    exact = compare(expected, logits(merged, probes))
    insist_on_exact(exact, bound, what)
    merged = merged.to(getattr(torch, dtype)).float()
    if name := next((n for n, weight in merged.named_parameters() if weight.isinf().any()), None):
        raise no_room_for(name, dtype)
    with insist_on_room(merged, dtype):
        after = compare(expected, logits(merged, probes))
    return merged.to(getattr(torch, dtype)), {"exact": exact, "rounded": after}


def logits(model: Any, probes: list[Probe]) -> list[Any]:
    """One (tokens, vocabulary) tensor a probe."""
    import torch

    with torch.inference_mode():
        return [some(model(**given(probe)).logits[0]) for probe in probes]


def some(logits: Any) -> Any:
    """The logits at some places of a text, spread over it, if it is long: a vocabulary is large."""
    import torch

    if logits.ndim < 2 or len(logits) <= PLACES:
        return logits
    return logits[torch.linspace(0, len(logits) - 1, PLACES).long()]


def given(probe: Probe) -> dict[str, Any]:
    """What the model takes of a probe, as tensors."""
    import torch

    return probe if isinstance(probe, dict) else {"input_ids": torch.tensor([probe])}


def insist_on_finite(expected: list[Any], start: Any, trained: Any) -> None:
    """Raises `MergeError` if the logits of a model with what was trained are no numbers."""
    if not all(each.isfinite().all() for each in expected):
        raise MergeError(
            f"{start} with {trained} gives logits that are NaN or infinite;"
            " train with a smaller learning_rate"
        )


def compare(expected: list[Any], actual: list[Any]) -> dict[str, float]:
    """Compare logits, one (tokens, vocabulary) tensor a probe; or scores, one (1,) tensor a probe.

    Returns the largest absolute difference, the relative one (norm of the difference over the
    norm of the expected); of logits also the mean KL divergence in nats and the share of equal
    first choices.
    A divergence is never negative: where rounding takes the sum below zero, it is zero.
    """
    import torch

    a, b = torch.cat(expected).float(), torch.cat(actual).float()
    largest, relative = (a - b).abs().max().item(), ((a - b).norm() / a.norm()).item()
    if a.ndim == 1:
        return {"max_score_difference": largest, "relative_difference": relative}
    p, q = a.log_softmax(-1), b.log_softmax(-1)
    return {
        "max_logit_difference": largest,
        "relative_difference": relative,
        "kl_divergence": (p.exp() * (p - q)).sum(-1).mean().clamp(min=0).item(),
        "top1_agreement": (a.argmax(-1) == b.argmax(-1)).float().mean().item(),
    }
