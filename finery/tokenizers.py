"""The tokenizer of a model folder, with its chat template."""

import hashlib
from pathlib import Path
from typing import Any


def load_tokenizer(model: Path, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a downloaded model, from its files alone."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        model, local_files_only=True, trust_remote_code=trust_remote_code
    )


def template_hash(tokenizer: Any) -> str:
    """SHA-256 of the chat template's text: the same in every report and in the package."""
    return hashlib.sha256(tokenizer.chat_template.encode()).hexdigest()
