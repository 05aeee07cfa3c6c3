"""Conversations: a request, the model's answer, and what that looks like."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from finery.answering.engine import Ended
from finery.answering.thoughts import Thoughts
from finery.serving.door.sending import side_by_side
from finery.serving.engines.engine import Ask
from finery.serving.openai import asked
from finery.serving.openai.bodies import ChatBody
from finery.serving.openai.logprobs import listed
from finery.serving.openai.replies import called, head, usage
from finery.serving.refusals import Refused
from finery.serving.served import Served

BEGINNINGS = "<{["
"""What calls of tools begin with, in every way of writing them that is understood."""


@dataclass(frozen=True)
class Chat:
    """A conversation, rendered: an ask for each answer that is wanted."""

    asks: Sequence[Ask]
    opened: str
    """The thought that the prompt begins."""
    with_tools: bool
    one_call: bool


@dataclass(frozen=True)
class Delta:
    """What is new of an answer."""

    thought: str = ""
    content: str = ""
    logprobs: Sequence[dict[str, Any]] = ()
    calls: Sequence[dict[str, Any]] = ()
    ended: Ended | None = None

    @property
    def reason(self) -> str | None:
        if self.ended is None:
            return None
        return "tool_calls" if self.calls else self.ended.reason


@dataclass
class _Whole:
    """An answer, added up."""

    thought: str = ""
    content: str = ""
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    last: Delta = Delta()

    def add(self, delta: Delta) -> None:
        self.thought += delta.thought
        self.content += delta.content
        self.logprobs += delta.logprobs
        self.last = delta


def chat(body: ChatBody, served: Served) -> Chat:
    """What a request asks. Raises `Refused`, and a `UserError` of the chat template's."""
    asked.check_model(body, served)
    if body.top_logprobs is not None and not body.logprobs:
        raise Refused("top_logprobs: goes with logprobs: true", param="top_logprobs")
    tools = asked.tools(body)
    prompt, opened = served.wording.prompt(asked.messages(body), tools, asked.keywords(body))
    if tools and served.wording.calls is None:
        raise Refused(
            "tools: the way that this model's chat template writes calls is not understood",
            param="tools",
        )
    sampling = asked.sampling(
        body, served.wording.sampling, body.max_completion_tokens or body.max_tokens
    )
    first = Ask(
        prompt,
        served.room(len(prompt), sampling.max_new_tokens),
        served.wording.stops,
        sampling,
        (body.top_logprobs or 0) if body.logprobs else None,
        asked.schema(body, served),
    )
    asks = [
        replace(first, sampling=asked.of_choice(sampling, number)) for number in range(body.n or 1)
    ]
    return Chat(asks, opened, bool(tools), body.parallel_tool_calls is False)


async def whole(chat: Chat, served: Served, deadline: float) -> dict[str, Any]:
    """The answers at once."""
    found = [_Whole() for _ in chat.asks]
    async with aclosing(_deltas(chat, served, deadline)) as deltas:
        async for number, delta in deltas:
            found[number].add(delta)
    ended = [each.last.ended for each in found if each.last.ended]
    return head("chat.completion", served.name) | {
        "choices": [_choice(chat, number, each) for number, each in enumerate(found)],
        "usage": usage(len(chat.asks[0].prompt), ended),
    }


async def chunks(
    chat: Chat, served: Served, deadline: float, with_usage: bool
) -> AsyncIterator[dict[str, Any]]:
    """The answers piece by piece."""
    beginning = head("chat.completion.chunk", served.name)
    beside = {"usage": None} if with_usage else {}
    begun: set[int] = set()
    ended = []
    async with aclosing(_deltas(chat, served, deadline)) as deltas:
        async for number, delta in deltas:
            if number not in begun:
                begun.add(number)
                first = _chunk(number, {"role": "assistant", "content": ""})
                yield beginning | {"choices": [first]} | beside
            if new := _new(delta):
                part = _chunk(number, new, delta.logprobs if _wanted(chat) else None)
                yield beginning | {"choices": [part]} | beside
            if delta.ended:
                ended.append(delta.ended)
                last = _chunk(number, {}) | {"finish_reason": delta.reason}
                yield beginning | {"choices": [last]} | beside
    if with_usage:
        yield beginning | {"choices": [], "usage": usage(len(chat.asks[0].prompt), ended)}


def _deltas(chat: Chat, served: Served, deadline: float) -> AsyncIterator[tuple[int, Delta]]:
    return side_by_side([_answer(chat, ask, served, deadline) for ask in chat.asks])


async def _answer(chat: Chat, ask: Ask, served: Served, deadline: float) -> AsyncIterator[Delta]:
    """One answer, its thoughts and calls told from its words.

    With tools, what may be the beginning of a call is held back until it is certain what it is.
    """
    thoughts, held = Thoughts(bool(chat.opened)), ""
    async with aclosing(served.speak(ask, deadline)) as spoken:
        async for each in spoken:
            parts = thoughts.add(each.text, last=each.ended is not None)
            thought = "".join(said for inside, said in parts if inside)
            content = "".join(said for inside, said in parts if not inside)
            calls: list[dict[str, Any]] = []
            if chat.with_tools:
                content, held = _held_back(held + content)
                if each.ended:
                    calls = served.wording.calls(each.written)[: 1 if chat.one_call else None]
                    content += "" if calls else held
            logprobs = listed(served.wording, each.tokens) if _wanted(chat) else ()
            yield Delta(thought, content, logprobs, [called(call) for call in calls], each.ended)


def _held_back(text: str) -> tuple[str, str]:
    """What is no call for certain, and the rest, with the white space before it."""
    start = min((at for mark in BEGINNINGS if (at := text.find(mark)) >= 0), default=len(text))
    said = text[:start].rstrip() if start < len(text) else text
    return said, text[len(said) :]


def _wanted(chat: Chat) -> bool:
    return chat.asks[0].likeliest is not None


def _new(delta: Delta) -> dict[str, Any]:
    new: dict[str, Any] = {}
    if delta.thought:
        new["reasoning_content"] = delta.thought
    if delta.content or (delta.logprobs and not delta.thought):
        new["content"] = delta.content
    if delta.calls:
        new["tool_calls"] = [{"index": i} | call for i, call in enumerate(delta.calls)]
    return new


def _chunk(
    number: int, delta: dict[str, Any], logprobs: Sequence[dict[str, Any]] | None = None
) -> dict[str, Any]:
    said = {"content": list(logprobs), "refusal": None} if logprobs is not None else None
    return {"index": number, "delta": delta, "logprobs": said, "finish_reason": None}


def _choice(chat: Chat, number: int, found: _Whole) -> dict[str, Any]:
    calls = list(found.last.calls)
    message = {"role": "assistant", "content": found.content or (None if calls else "")}
    message |= {"reasoning_content": found.thought} if found.thought else {}
    message |= {"tool_calls": calls} if calls else {}
    logprobs = {"content": found.logprobs, "refusal": None} if _wanted(chat) else None
    return {
        "index": number,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": found.last.reason,
    }
