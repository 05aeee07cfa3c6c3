"""How many tokens a model can tell apart by their place."""

from collections.abc import Iterator, Mapping
from typing import Any

from finery.check.facts import Model

LENGTHS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "n_ctx")
BY_DISTANCE = {"bloom", "mamba", "mamba2", "falcon_mamba", "rwkv", "recurrent_gemma", "xlnet"}
"""Models with no table of positions and no rotation that ends: ALiBi, states."""
IN_THE_LENGTH = {"default", "llama3", "longrope", "su", "mrope", "proportional"}
"""Scalings of the rotation whose stretched length is what config.json states already."""


def position_problem(model: Model, cutoff_len: int, factor: float = 1) -> str | None:
    """Why samples of `cutoff_len` tokens are too long for a model; None if they are not.

    A sliding window is no limit, nor is ALiBi; a rotation may be stretched by `rope_scaling` or
    `rope_parameters`, whose factor counts as vLLM counts it, and by the steps of the training, by
    `factor`.
    """
    limit = positions(model)
    if limit is None or cutoff_len <= (limit := int(limit * factor)):
        return None
    return (
        f"{cutoff_len} tokens are more than the {limit} positions of {model.folder};"
        f" lower it to {limit}"
    )


def positions(model: Model) -> int | None:
    """The longest sequence; None if nothing limits it or config.json does not say."""
    config = model.text
    if model.kind in BY_DISTANCE or _alibi(model.kind, config):
        return None
    stated = next((config[key] for key in LENGTHS if isinstance(config.get(key), int)), 0)
    return int(max([stated, *_stretched(config, stated)])) if stated > 0 else None


def _stretched(config: Mapping[str, Any], stated: int) -> Iterator[float]:
    for key in ("rope_scaling", "rope_parameters"):
        scaling = config.get(key) or {}
        for each in (scaling, *scaling.values()):  # one for each type of layer, in some models
            if not isinstance(each, dict):
                continue
            kind = each.get("rope_type", each.get("type", "default"))
            factor = each.get("factor")
            if kind not in IN_THE_LENGTH and isinstance(factor, int | float):
                original = each.get("original_max_position_embeddings")
                yield (original or stated) * factor


def _alibi(kind: str, config: Mapping[str, Any]) -> bool:
    attention = config.get("attn_config") or {}
    return bool(config.get("alibi") or attention.get("alibi", kind == "mpt"))
