"""The files of a model folder: weights saved alike, all that goes with them carried along."""

import shutil
from pathlib import Path
from typing import Any

from finery.models.legal import legal_files

TOKENIZER_FILES = (
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.tiktoken",
    "*processor_config.json",  # of images
    "*.py",
)


def save_model(model: Any, folder: Path, shard_size: str = "4GB") -> None:
    """Write config, generation config and safetensors shards, readable by everybody."""
    model.save_pretrained(folder, safe_serialization=True, max_shard_size=shard_size)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)


def carry_along(source: Path, folder: Path) -> None:
    """Copy the tokenizer's files, where answers end, and licences, as they are.

    A tokenizer that is saved again could change; a licence binds what is made from the model.
    """
    tokenizer = {file for pattern in TOKENIZER_FILES for file in source.glob(pattern)}
    for file in sorted({*tokenizer, *source.glob("generation_config.json"), *legal_files(source)}):
        shutil.copyfile(file, folder / file.name)
