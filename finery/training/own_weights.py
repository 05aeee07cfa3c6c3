"""Training of the model's own weights, without an adapter: which are trained, and how kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finery.training.sharing import leads, trained_weights

CONFIG, WEIGHTS = "trained.json", "trained{suffix}.safetensors"
SHARD = "4GB"


def train_only(model: Any, chosen: Callable[[str], bool]) -> None:
    """Let those parameters be trained whose names are chosen, in float32, and no others.

    Half precision would round small steps away; the rest of the model stays as it was loaded.
    """
    for name, weight in model.named_parameters():
        weight.requires_grad_(chosen(name))
        if weight.requires_grad:
            weight.data = weight.data.float()


def train_head(model: Any) -> None:
    """Let the head be trained that scores, where the model has one in place of that for words."""
    if type(model).__name__.endswith("ForSequenceClassification"):
        for name, weight in model.named_parameters():
            if not name.startswith(f"{model.base_model_prefix}."):
                weight.requires_grad_(True)
                weight.data = weight.data.float()


def save_own_weights(model: Any, tuner: dict[str, Any], start: Path, folder: Path) -> None:
    """Write what was trained alone, and how: the same bytes for the same weights.

    `tuner` has the step's settings of it; `start` is the model that they belong to.
    """
    from huggingface_hub import save_torch_state_dict

    weights = trained_weights(model)
    if not leads():
        return
    folder.mkdir(parents=True, exist_ok=True)
    save_torch_state_dict(weights, folder, filename_pattern=WEIGHTS, max_shard_size=SHARD)
    config = {
        "tuner": tuner,
        "architecture": type(model).__name__,
        "base_model_name_or_path": start.as_posix(),
        "tensors": {name: list(weight.shape) for name, weight in weights.items()},
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)
