"""How close one model's logits, or scores, are to another's."""

from typing import Any


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
