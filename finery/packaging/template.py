"""The chat template of a model folder, and the token that ends an assistant's turn in it."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from finery.packaging.contents import read_json
from finery.packaging.errors import PackageError

TEMPLATE = "chat_template.jinja"
ANSWER = "Probe-answer"
PROBE = [
    {"role": "user", "content": "Probe-question"},
    {"role": "assistant", "content": ANSWER},
]


class Generation(Extension):
    """{% generation %} marks the assistant's words for training; here it only lets them through."""

    tags = {"generation"}  # jinja2 asks for a set on the class

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def chat_template(model: Path) -> str:
    """The text of the template, from its file or from an older tokenizer_config.json.

    Raises `PackageError` if the model has none.
    """
    if (model / TEMPLATE).exists():
        return (model / TEMPLATE).read_text(encoding="utf-8")
    template = read_json(model / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
    if not isinstance(template, str):
        raise PackageError(f"{model}: no chat template; name one in model.chat_template")
    return template


def turn_end(model: Path) -> int | None:
    """The id of the first special token after the words of an assistant's turn.

    Found by rendering a probe conversation; None if the template writes no such token there.
    Raises `PackageError` if it refuses the probe or drops the assistant's words.
    """
    from tokenizers import Tokenizer

    text = _render(model, chat_template(model))
    _, found, tail = text.rpartition(ANSWER)
    if not found:
        raise PackageError(f"{model}: the chat template leaves out the assistant's words")
    if not (model / "tokenizer.json").exists():
        raise PackageError(f"{model}: no tokenizer.json; save the tokenizer with transformers")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    added = tokenizer.get_added_tokens_decoder()
    ids = tokenizer.encode(tail, add_special_tokens=False).ids
    return next((i for i in ids if i in added and added[i].special), None)


def _render(model: Path, template: str) -> str:
    """Render the probe with the helpers that transformers gives to templates."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson
    environment.globals |= {"raise_exception": _raise, "strftime_now": date(2000, 1, 1).strftime}
    try:
        compiled = environment.from_string(template)
        return compiled.render(
            messages=PROBE,
            tools=None,
            documents=None,
            add_generation_prompt=False,
            **_special_tokens(model),
        )
    except (TemplateError, TypeError) as error:
        raise PackageError(f"{model}: the chat template refuses a plain chat: {error}") from None


def _special_tokens(model: Path) -> dict[str, str]:
    tokens = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        settings = read_json(model / name) if (model / name).exists() else {}
        for key, value in settings.items():
            content = value.get("content") if isinstance(value, dict) else value
            if key.endswith("_token") and isinstance(content, str):
                tokens[key] = content
    return tokens


def _raise(message: str) -> None:
    raise TemplateError(message)


def _tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    """jinja2's own filter escapes HTML, which no model was trained on."""
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)
