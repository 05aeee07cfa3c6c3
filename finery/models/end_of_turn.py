"""What a chat template writes behind an assistant's words, and the token that ends the turn."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from finery.models.chat_template import ChatTemplateError, chat_template
from finery.models.jinja import environment
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
    before, answer, tail = _render(template, tokens.named).rpartition(ANSWER)
    if not answer:  # some that know images want all contents in parts
        with suppress(ChatTemplateError):
            parted = _render(template, tokens.named, parts=True)
            before, answer, tail = parted.rpartition(ANSWER)
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


def _render(template: str, named: dict[str, str], parts: bool = False) -> str:
    """A user's and an assistant's turn; what they say as `parts` of which there is one, or as it
    is.
    """
    from jinja2 import TemplateError, TemplateSyntaxError

    turns = [
        {"role": role, "content": [{"type": "text", "text": words}] if parts else words}
        for role, words in (("user", QUESTION), ("assistant", ANSWER))
    ]
    try:
        compiled = environment().from_string(template)
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
