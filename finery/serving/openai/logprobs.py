"""Probabilities of tokens, as OpenAI lists them."""

from collections.abc import Sequence
from typing import Any

from finery.answering.words import UNFINISHED
from finery.serving.engines.engine import Token
from finery.serving.wording import Wording

LEAST = -9999.0
"""What stands for a probability of nothing, as JSON has no infinity."""


def listed(wording: Wording, tokens: Sequence[Token]) -> list[dict[str, Any]]:
    """For a conversation. Parts of a character, of which an engine may know none, are left out."""
    return [
        _likely(wording, token.id, token.logprob)
        | {"top_logprobs": [_likely(wording, *each) for each in token.likeliest]}
        for token in tokens
        if token.logprob is not None
    ]


def in_columns(wording: Wording, tokens: Sequence[Token], start: int) -> dict[str, Any]:
    """For a text that is gone on with; `start`: how many characters it has before."""
    tokens = [token for token in tokens if token.logprob is not None]
    texts = [wording.token(token.id) for token in tokens]
    offsets = [start + sum(map(len, texts[:place])) for place in range(len(texts))]
    return {
        "tokens": texts,
        "token_logprobs": [_finite(token.logprob) for token in tokens],
        "top_logprobs": [
            {wording.token(each): _finite(value) for each, value in token.likeliest}
            for token in tokens
        ],
        "text_offset": offsets,
    }


def _likely(wording: Wording, token: int, logprob: float) -> dict[str, Any]:
    text = wording.token(token)
    known = None if UNFINISHED in text else list(text.encode())
    return {"token": text, "logprob": _finite(logprob), "bytes": known}


def _finite(value: float) -> float:
    return max(value, LEAST)
