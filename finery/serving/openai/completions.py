"""Texts that are gone on with as they are, without a chat template."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from finery.answering.engine import Ended
from finery.serving.door.sending import side_by_side
from finery.serving.engines.engine import Ask, Token
from finery.serving.openai import asked
from finery.serving.openai.bodies import CompletionBody
from finery.serving.openai.logprobs import in_columns
from finery.serving.openai.replies import head, usage
from finery.serving.refusals import Refused
from finery.serving.served import Served, Spoken

TOKENS = 16
"""Of an answer, unless the request says, as OpenAI has it."""


@dataclass(frozen=True)
class Texts:
    """An ask for each answer that is wanted, those of one prompt together."""

    asks: Sequence[Ask]
    prompt_tokens: int


def answers(body: CompletionBody) -> int:
    """How many answers a request wants."""
    return len(_prompts(body)) * (body.n or 1)


def texts(body: CompletionBody, served: Served) -> Texts:
    """What a request asks. Raises `Refused`."""
    asked.check_model(body, served)
    prompts = [_tokens(each, served) for each in _prompts(body)]
    sampling = asked.sampling(body, served.wording.sampling, body.max_tokens or TOKENS)
    schema = asked.schema(body, served)
    asks = [
        Ask(
            prompt,
            served.room(len(prompt), sampling.max_new_tokens),
            served.wording.stops,
            asked.of_choice(sampling, number),
            body.logprobs,
            schema,
        )
        for prompt in prompts
        for number in range(body.n or 1)
    ]
    return Texts(asks, sum(map(len, prompts)))


async def whole(texts: Texts, served: Served, deadline: float) -> dict[str, Any]:
    """The answers at once."""
    said = ["" for _ in texts.asks]
    tokens: list[list[Token]] = [[] for _ in texts.asks]
    ended: list[Ended | None] = [None for _ in texts.asks]
    async with aclosing(_spoken(texts, served, deadline)) as parts:
        async for number, each in parts:
            said[number] += each.text
            tokens[number] += each.tokens
            ended[number] = each.ended
    choices = [
        _choice(served, texts, number, said[number], tokens[number], 0, ended[number])
        for number in range(len(texts.asks))
    ]
    counted = usage(texts.prompt_tokens, [each for each in ended if each])
    return head("text_completion", served.name) | {"choices": choices, "usage": counted}


async def chunks(
    texts: Texts, served: Served, deadline: float, with_usage: bool
) -> AsyncIterator[dict[str, Any]]:
    """The answers piece by piece."""
    beginning = head("text_completion", served.name)
    beside = {"usage": None} if with_usage else {}
    lengths = [0 for _ in texts.asks]
    ended = []
    async with aclosing(_spoken(texts, served, deadline)) as parts:
        async for number, each in parts:
            start = lengths[number]
            lengths[number] += len(each.text)
            ended += [each.ended] if each.ended else []
            choice = _choice(served, texts, number, each.text, each.tokens, start, each.ended)
            yield beginning | {"choices": [choice]} | beside
    if with_usage:
        yield beginning | {"choices": [], "usage": usage(texts.prompt_tokens, ended)}


def _spoken(texts: Texts, served: Served, deadline: float) -> AsyncIterator[tuple[int, Spoken]]:
    return side_by_side([served.speak(ask, deadline, trimmed=False) for ask in texts.asks])


def _prompts(body: CompletionBody) -> list[str | list[int]]:
    prompt = body.prompt
    several = isinstance(prompt, list) and not isinstance(prompt[0], int)
    return prompt if several else [prompt]  # type: ignore[list-item,return-value]


def _tokens(prompt: str | list[int], served: Served) -> list[int]:
    tokens = served.wording.raw(prompt) if isinstance(prompt, str) else prompt
    if not tokens:
        raise Refused("prompt: no token, nothing to go on with", param="prompt")
    if wrong := [token for token in tokens if token >= served.wording.size]:
        raise Refused(
            f"prompt: {wrong[0]} is no token; there are {served.wording.size}", param="prompt"
        )
    return tokens


def _choice(
    served: Served,
    texts: Texts,
    number: int,
    text: str,
    tokens: Sequence[Token],
    start: int,
    ended: Ended | None,
) -> dict[str, Any]:
    wanted = texts.asks[number].likeliest is not None
    return {
        "index": number,
        "text": text,
        "logprobs": in_columns(served.wording, tokens, start) if wanted else None,
        "finish_reason": ended.reason if ended else None,
    }
