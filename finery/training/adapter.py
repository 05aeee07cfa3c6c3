"""The trained adapter on disk."""

import json
from pathlib import Path
from typing import Any

from finery.training.errors import TrainingError


def save_adapter(model: Any, base: Path, folder: Path) -> None:
    """Write adapter_model.safetensors and adapter_config.json, the same bytes for the same weights.

    PEFT keeps the target modules in a set, whose order changes from process to process, and adds
    a model card that says nothing yet: the order is fixed here and the card left out.
    """
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text())
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    config["base_model_name_or_path"] = base.as_posix()
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)


def refuse_untrained(model: Any, key: str) -> None:
    """Raises `TrainingError` if every B of a LoRA adapter is zero, as it began: it does nothing."""
    learned = [weight for name, weight in model.named_parameters() if ".lora_B." in name]
    if learned and not any(weight.any() for weight in learned):
        raise TrainingError(
            "the adapter does nothing: all of its B matrices are zero, as before the first step;"
            f" raise {key}.learning_rate or {key}.num_train_epochs"
        )
