"""Settle the chat template of a model folder: one, whatever it came with."""

import json
import os
import shutil
from pathlib import Path

from finery.models.chat_template import (
    MORE_TEMPLATES,
    TEMPLATE,
    chat_template,
    chat_templates,
    chosen,
)
from finery.models.settings import TOKENIZER, read_settings
from finery.sources.errors import SourceError


def choose(base: Path, name: str | None) -> tuple[str | None, list[str]]:
    """Make the template called `name`, or the default one, the only one of the model in `base`.

    Returns the name of the template taken, None if there is but one and it was not asked for by
    name, and the names of all. Raises `ChatTemplateError` if there is no such template.
    """
    templates = chat_templates(base)
    text = chat_template(base, name)
    taken = name or chosen(templates)
    if len(templates) > 1:
        _only(base, text)
    return taken if name or len(templates) > 1 else None, list(templates)


def override(base: Path, template: Path) -> None:
    """Make the file `template` the one chat template of the model in `base`."""
    try:
        text = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SourceError(
            f"model.chat_template: cannot read {template.name} as UTF-8 text; check the file"
        ) from None
    _only(base, text)


def _only(base: Path, text: str) -> None:
    tokenizer = read_settings(base / TOKENIZER)
    if tokenizer.pop("chat_template", None) is not None:
        replace(base / TOKENIZER, json.dumps(tokenizer, indent=2, ensure_ascii=False) + "\n")
    (base / "chat_template.json").unlink(missing_ok=True)  # where processors keep another
    shutil.rmtree(base / MORE_TEMPLATES, ignore_errors=True)
    replace(base / TEMPLATE, text)


def replace(file: Path, text: str) -> None:
    """Put a new file in place of one that may be a hard link into somebody else's model."""
    partial = file.with_name(".partial-" + file.name)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)
