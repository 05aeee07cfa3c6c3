"""What a chat template writes behind an assistant's words, and the token that ends the turn."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from finery.models.chat_template import ChatTemplateError, chat_template
from finery.models.tokens import Tokens, read_tokens

ANSWER = "finery-answer"
QUESTION = "finery-question"
CORRECT = "correct it, or set model.chat_template"


@dataclass(frozen=True)
class Ending:
    """`frame` is all that the template writes around the words of two turns, `tail` its end.

    `token` and `id` are the token that ends the turn; None if no token does.
    """

    frame: str
    tail: str
    token: str | None
    id: int | None


def end_of_turn(model: Path) -> int | None:
    """The id of the token that ends an assistant's turn; None if the template writes none.

    Raises `ChatTemplateError` as `ending` does, or if the model has no template.
    """
    return ending(chat_template(model), read_tokens(model)).id


def ending(template: str, tokens: Tokens) -> Ending:
    """How a template ends an assistant's turn: with the first special token behind the words.

    If there is none, a token will do that is only never split. Raises `ChatTemplateError` if the
    template is not Jinja, refuses a user's and an assistant's turn, or drops the words of one.
    """
    rendered = _render(template, tokens.named)
    before, answer, tail = rendered.rpartition(ANSWER)
    if not answer:
        raise ChatTemplateError(f"chat template: leaves out what the assistant says; {CORRECT}")
    frame = before.replace(QUESTION, " ") + " " + tail
    for words in (tokens.special, tokens.whole):
        found = [word for word in words if word in tail]
        # Of tokens that start at one place, the longest is the one that a tokenizer sees.
        if found:
            token = min(found, key=lambda word: (tail.index(word), -len(word)))
            return Ending(frame, tail, token, words[token])
    return Ending(frame, tail, None, None)


def _render(template: str, named: dict[str, str]) -> str:
    """A user's and an assistant's turn."""
    from jinja2 import TemplateError, TemplateSyntaxError

    turns = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": ANSWER},
    ]
    try:
        compiled = _environment().from_string(template)
        return compiled.render(
            messages=turns, tools=None, documents=None, add_generation_prompt=False, **named
        )
    except TemplateSyntaxError as error:
        said = f"chat template, line {error.lineno}: {error.message}"
        raise ChatTemplateError(f"{said}; {CORRECT}") from None
    except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
        said = " ".join(str(error).split())
        raise ChatTemplateError(
            f"chat template: cannot render a user's and an assistant's turn ({said}); {CORRECT}"
        ) from None


def _environment() -> Any:
    """Jinja as transformers sets it up for chat templates, without the seconds of importing it."""
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks what the assistant says; here it only lets it through."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment
