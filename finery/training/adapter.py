"""The trained adapter on disk."""

import json
from pathlib import Path
from typing import Any


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
