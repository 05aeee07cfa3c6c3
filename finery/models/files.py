"""The files of a model folder: weights saved alike, tokenizer files carried along unchanged."""

import shutil
from pathlib import Path
from typing import Any

TOKENIZER_FILES = (
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.tiktoken",
    "*.py",
)


def save_model(model: Any, folder: Path, shard_size: str = "4GB") -> None:
    """Write config, generation config and safetensors shards, readable by everybody."""
    model.save_pretrained(folder, safe_serialization=True, max_shard_size=shard_size)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the tokenizer's files as they are: saved again, they could change."""
    for pattern in TOKENIZER_FILES:
        for file in sorted(source.glob(pattern)):
            shutil.copyfile(file, folder / file.name)
    if (source / "generation_config.json").exists():
        shutil.copyfile(source / "generation_config.json", folder / "generation_config.json")
