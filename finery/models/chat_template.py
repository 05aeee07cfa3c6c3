"""The chat template of a model folder, and the token that ends an assistant's turn in it."""

import json
from pathlib import Path
from typing import Any

from finery.errors import UserError

TEMPLATE = "chat_template.jinja"
TOKENIZER = "tokenizer_config.json"
ANSWER = "finery-answer"


class ChatTemplateError(UserError):
    """A model folder has no chat template that works; the message ends in what to do."""


def chat_template(model: Path) -> str:
    """The text of the template that transformers would use.

    Raises `ChatTemplateError` if there is none.
    """
    file = model / TEMPLATE
    if file.exists():
        return file.read_text(encoding="utf-8")
    embedded = read_settings(model / TOKENIZER).get("chat_template")
    if isinstance(embedded, list):  # the older form: several, each with a name
        embedded = {item["name"]: item["template"] for item in embedded}.get("default")
    if not embedded:
        raise ChatTemplateError(
            f"the model has no chat template in {TEMPLATE} or {TOKENIZER};"
            " set model.chat_template, for instance to templates/chatml.jinja"
        )
    return embedded


def end_of_turn(model: Path) -> int | None:
    """The id of the first special token after the words of an assistant's turn.

    None if the template writes no such token there. Raises `ChatTemplateError` if it is missing,
    is not Jinja, refuses a user's and an assistant's turn, or drops the assistant's words.
    """
    named = _named_tokens(model)
    _, answer, tail = _render(chat_template(model), named).rpartition(ANSWER)
    if not answer:
        raise ChatTemplateError(
            "chat template: leaves out what the assistant says; correct it,"
            " or set model.chat_template"
        )
    special = _special_tokens(model, set(named.values()))
    found = [token for token in special if token in tail]
    # Of tokens that start at one place, the longest is the one that a tokenizer sees.
    first = min(found, key=lambda token: (tail.index(token), -len(token)), default=None)
    return None if first is None else special[first]


def read_settings(file: Path) -> dict[str, Any]:
    """A JSON object from a file of the model's, empty if there is no such file."""
    if not file.exists():
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ChatTemplateError(f"{file.name}: not JSON ({error}); fetch the model again") from None


def _render(template: str, named: dict[str, str]) -> str:
    """A user's and an assistant's turn, rendered as transformers renders them."""
    from jinja2 import TemplateError, TemplateSyntaxError
    from transformers.utils.chat_template_utils import render_jinja_template

    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    try:
        rendered, _ = render_jinja_template([turns], chat_template=template, **named)
    except TemplateSyntaxError as error:
        raise ChatTemplateError(
            f"chat template, line {error.lineno}: {error.message}; correct it,"
            " or set model.chat_template"
        ) from None
    except (TemplateError, TypeError, ValueError) as error:
        raise ChatTemplateError(
            f"chat template: cannot render a user's and an assistant's turn ({error});"
            " correct it, or set model.chat_template"
        ) from None
    return rendered[0]


def _named_tokens(model: Path) -> dict[str, str]:
    """The tokens that a template may ask for by name, such as bos_token."""
    tokens = {"bos_token": "", "eos_token": ""}
    for name in ("special_tokens_map.json", TOKENIZER):
        for key, value in read_settings(model / name).items():
            content = value.get("content") if isinstance(value, dict) else value
            if key.endswith("_token") and isinstance(content, str):
                tokens[key] = content
    return tokens


def _special_tokens(model: Path, named: set[str]) -> dict[str, int]:
    """Special tokens with their ids, from either place where they are listed.

    transformers makes a token special by naming it, whatever the list says.
    """
    listed = read_settings(model / "tokenizer.json").get("added_tokens", [])
    older = read_settings(model / TOKENIZER).get("added_tokens_decoder", {})
    tokens = [token | {"id": int(number)} for number, token in older.items()] + listed
    return {
        token["content"]: token["id"]
        for token in tokens
        if token.get("special") or token["content"] in named
    }
