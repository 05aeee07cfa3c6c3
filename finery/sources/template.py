"""The chat template of a model folder: find it, replace it, see that it renders."""

import json
import os
from pathlib import Path
from typing import Any

from finery.sources.errors import SourceError

TEMPLATE = "chat_template.jinja"
TOKENIZER = "tokenizer_config.json"
ANSWER = "finery-answer"


def chat_template(base: Path) -> str:
    """The text of the template that transformers would use. Raises `SourceError` if none."""
    file = base / TEMPLATE
    if file.exists():
        return file.read_text(encoding="utf-8")
    embedded = _tokenizer(base).get("chat_template")
    if isinstance(embedded, list):  # the older form: several, each with a name
        embedded = {item["name"]: item["template"] for item in embedded}.get("default")
    if not embedded:
        raise SourceError(
            f"the model has no chat template in {TEMPLATE} or {TOKENIZER};"
            " set model.chat_template, for instance to templates/chatml.jinja"
        )
    return embedded


def override(base: Path, template: Path) -> None:
    """Make `template` the one chat template of the model in `base`."""
    try:
        text = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SourceError(
            f"model.chat_template: cannot read {template.name} as UTF-8 text; check the file"
        ) from None
    tokenizer = _tokenizer(base)
    if tokenizer.pop("chat_template", None) is not None:
        replace(base / TOKENIZER, json.dumps(tokenizer, indent=2, ensure_ascii=False) + "\n")
    (base / "chat_template.json").unlink(missing_ok=True)  # where processors keep another
    replace(base / TEMPLATE, text)


def end_of_turn(template: str, special: dict[str, str]) -> str:
    """What the template writes after an assistant's turn, bar white space.

    `special` names the tokens a template may ask for, such as bos_token. Raises `SourceError`
    if it is not Jinja or cannot render a user's and an assistant's turn.
    """
    from jinja2 import TemplateError, TemplateSyntaxError
    from transformers.utils.chat_template_utils import render_jinja_template

    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    try:
        rendered, _ = render_jinja_template([turns], chat_template=template, **special)
    except TemplateSyntaxError as error:
        raise SourceError(
            f"chat template, line {error.lineno}: {error.message}; correct it,"
            " or set model.chat_template"
        ) from None
    except (TemplateError, TypeError, ValueError) as error:
        raise SourceError(
            f"chat template: cannot render a user's and an assistant's turn ({error});"
            " correct it, or set model.chat_template"
        ) from None
    _, answer, tail = rendered[0].rpartition(ANSWER)
    if not answer:
        raise SourceError(
            "chat template: leaves out what the assistant says; correct it,"
            " or set model.chat_template"
        )
    return tail.strip()


def replace(file: Path, text: str) -> None:
    """Put a new file in place of one that may be a hard link into somebody else's model."""
    partial = file.with_name(".partial-" + file.name)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)


def _tokenizer(base: Path) -> dict[str, Any]:
    file = base / TOKENIZER
    if not file.exists():
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SourceError(f"{TOKENIZER}: not JSON ({error}); fetch the model again") from None
