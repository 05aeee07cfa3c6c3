"""What was trained, on disk: an adapter, or the model's own weights."""

import json
from pathlib import Path
from typing import Any

from finery.params.step import StepParams
from finery.training.own_weights import save_own_weights
from finery.training.principal import make_plain
from finery.training.sharing import is_in_parts, leads, trained_weights


def save_trained(
    model: Any, params: StepParams, start: Path, folder: Path, principal: dict[str, Any]
) -> None:
    """Write what the step's tuner has trained on the model `start`, and nothing else of it.

    `principal` is what `principal_parts` gave before the first step.
    """
    if hasattr(model, "peft_config"):
        weights = trained_weights(model) if is_in_parts(model) else None
        if not leads():
            return
        save_adapter(model, start, folder, weights)
        if principal:
            make_plain(model, principal, folder)
    else:
        save_own_weights(model, params.tuner.model_dump(), start, folder)


def save_adapter(
    model: Any, base: Path, folder: Path, weights: dict[str, Any] | None = None
) -> None:
    """Write adapter_model.safetensors and adapter_config.json, the same bytes for the same weights.

    `weights` are those of the adapter, where the model has them in parts.

    PEFT keeps names of modules in sets, whose order changes from process to process, and adds a
    model card that says nothing yet: the order is fixed here and the card left out.
    """
    model.save_pretrained(folder, safe_serialization=True, state_dict=weights)
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text())
    for value in config.values():
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            value.sort()
    config["base_model_name_or_path"] = base.as_posix()
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)
