"""A rotation of positions (RoPE) stretched to longer contexts, from training to serving."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finery import lineage
from finery.errors import UserError


class RopeError(UserError):
    """The model's rotation cannot be stretched as asked."""


def stretched(model: Path, scaling: Mapping[str, Any] | None) -> dict[str, Any]:
    """What transformers is to take in the place of what config.json of `model` says.

    `scaling` has rope_type and factor; nothing is changed without, nor where it is so already, as
    in a model that a step before has stretched. Raises `RopeError` for a model without a rotation,
    with one for each type of layer, or with one that is stretched otherwise.
    """
    from transformers import AutoConfig

    if not scaling:
        return {}
    trusted = lineage.trusts_remote_code(model)
    config = AutoConfig.from_pretrained(model, local_files_only=True, trust_remote_code=trusted)
    own = getattr(config, "rope_parameters", None) or {}
    if not isinstance(own.get("rope_theta"), int | float):
        raise RopeError(
            f"{model}: rope_scaling needs a model with one rotation of its positions (RoPE) for all"
            " layers, and this has none or several; take it out"
        )
    kind, factor = own.get("rope_type", "default"), own.get("factor")
    if kind == scaling["rope_type"] and factor == scaling["factor"]:
        return {}
    if kind != "default":
        said = kind if factor is None else f"{kind}, {factor:g} times"
        raise RopeError(f"{model}: its rotation is scaled already ({said}); take rope_scaling out")
    original = {"original_max_position_embeddings": config.max_position_embeddings}
    yarn = original if scaling["rope_type"] == "yarn" else {}
    return {"rope_parameters": own | dict(scaling) | yarn}


def scaling_of(trained: Path) -> dict[str, Any] | None:
    """How the rotation was stretched while what is in a folder was trained, as its record says."""
    records = list(lineage.of(lineage.read(trained), "train").values())
    return records[-1].get("rope_scaling") if records else None
