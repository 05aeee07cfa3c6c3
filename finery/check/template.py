"""Whether a chat template speaks the tokens of a tokenizer: a model must learn where to stop."""

import re

from finery.models.chat_template import fitting_template
from finery.models.end_of_turn import ending
from finery.models.tokens import Tokens

CONTROL = re.compile(r"<[^<>\s]{1,60}>|\[/?[A-Z_]{2,40}\]")


def template_problems(template: str, tokens: Tokens) -> list[str]:
    """Why a model could not learn from this template where its turn ends.

    Plain words and any text may mark the roles; but what ends a turn must be a token, since ten
    ordinary tokens that spell <|im_end|> stop no generation. Nothing at all will do if there is an
    eos_token, which then ends the sample. Raises `ChatTemplateError` if it cannot be rendered.
    """
    if not tokens.whole:  # an older tokenizer, whose files say little
        return []
    found = ending(template, tokens)
    if found.token is not None:
        return []
    advice = fitting_template(tokens)
    if found.tail.strip():
        words = _spelt(found.tail, found.frame, tokens)
        return [
            f"chat template: ends a turn with {words}, no token of this tokenizer but ordinary"
            f" text, so the model would never learn to stop; {advice}"
        ]
    if not tokens.named["eos_token"]:
        return [f"chat template: nothing ends a turn, and there is no eos_token; {advice}"]
    return []


def _spelt(tail: str, frame: str, tokens: Tokens) -> str:
    """The words that look like control tokens and are none: first the end, then the others."""
    ends = [word for word in CONTROL.findall(tail) if word not in tokens.whole]
    others = [word for word in CONTROL.findall(frame) if word not in {*tokens.whole, *ends}]
    if not ends:
        return repr(tail.strip())
    more = f" (and writes {', '.join(dict.fromkeys(others))})" if others else ""
    return f"{', '.join(dict.fromkeys(ends))}{more}"
