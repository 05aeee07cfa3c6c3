"""Give a model folder another chat template."""

import json
import os
from pathlib import Path

from finery.models.chat_template import TEMPLATE, TOKENIZER, read_settings
from finery.sources.errors import SourceError


def override(base: Path, template: Path) -> None:
    """Make `template` the one chat template of the model in `base`."""
    try:
        text = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SourceError(
            f"model.chat_template: cannot read {template.name} as UTF-8 text; check the file"
        ) from None
    tokenizer = read_settings(base / TOKENIZER)
    if tokenizer.pop("chat_template", None) is not None:
        replace(base / TOKENIZER, json.dumps(tokenizer, indent=2, ensure_ascii=False) + "\n")
    (base / "chat_template.json").unlink(missing_ok=True)  # where processors keep another
    replace(base / TEMPLATE, text)


def replace(file: Path, text: str) -> None:
    """Put a new file in place of one that may be a hard link into somebody else's model."""
    partial = file.with_name(".partial-" + file.name)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)
