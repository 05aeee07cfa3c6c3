"""The tokenizer of a model folder, with its chat template."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finery import lineage

PLAIN = {"TokenizersBackend", "PreTrainedTokenizerFast"}


def load_tokenizer(model: Path) -> Any:
    """The tokenizer of a downloaded model, from its files alone; its own code only if allowed."""
    if _is_plain(model):
        from transformers.tokenization_utils_tokenizers import TokenizersBackend

        return TokenizersBackend.from_pretrained(model, local_files_only=True)
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        model, local_files_only=True, trust_remote_code=lineage.trusts_remote_code(model)
    )


def template_record(tokenizer: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """What the lineage says of the chat template: SHA-256 of its text, and its keywords if any."""
    text = tokenizer.get_chat_template()
    record: dict[str, Any] = {"chat_template_sha256": hashlib.sha256(text.encode()).hexdigest()}
    return record | ({"chat_template_kwargs": dict(keywords)} if keywords else {})


def _is_plain(model: Path) -> bool:
    """Whether AutoTokenizer would take the class that only reads tokenizer.json.

    It does for a Llama whose tokenizer asks for no other, but imports torch to find that out,
    which takes longer than to prepare a few thousand rows.
    """
    files = [model / name for name in ("tokenizer.json", "tokenizer_config.json", "config.json")]
    if not all(file.is_file() for file in files):
        return False
    tokenizer, config = (json.loads(file.read_text(encoding="utf-8")) for file in files[1:])
    return (
        config.get("model_type") == "llama"
        and tokenizer.get("tokenizer_class") in PLAIN
        and "auto_map" not in tokenizer
    )
