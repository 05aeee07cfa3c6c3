"""Answers on their way out; who leaves before the end is noticed, and the work for them ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from finery.serving.engines.engine import EngineError
from finery.serving.refusals import Refused

T = TypeVar("T")
DONE = b"data: [DONE]\n\n"
GRACE = 10
"""Seconds behind the deadline for one who reads slowly."""
EVENTS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Reply(Response):
    """What `work` gives, as JSON, made while the client waits for it."""

    def __init__(self, work: Callable[[], Awaitable[dict[str, Any]]], deadline: float) -> None:
        super().__init__()
        self._work, self._deadline = work, deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer() -> None:
            await JSONResponse(await self._work())(scope, receive, send)

        await unless_left(receive, answer(), self._deadline)


class Events(Response):
    """What `work` gives, one server-sent event after another.

    What is refused before the first event is refused as for any other request; later ones go out
    as an event.
    """

    def __init__(self, work: Callable[[], AsyncIterator[dict[str, Any]]], deadline: float) -> None:
        super().__init__()
        self._work, self._deadline = work, deadline
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await unless_left(receive, self._send(send), self._deadline)
        except Refused:
            if not self._begun:  # else who does not read is not told either
                raise

    async def _send(self, send: Send) -> None:
        async with aclosing(self._work()) as events:
            first = await anext(events)
            self._begun = True
            await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
            await send(_part(event(first)))
            try:
                async for each in events:
                    await send(_part(event(each)))
            except (Refused, EngineError) as error:
                said = error if isinstance(error, Refused) else Refused(str(error), 503)
                await send(_part(event(said.body())))
            await send(_part(DONE))
            await send(_part(b"", more=False))


def event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def _part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def unless_left(receive: Receive, work: Awaitable[None], deadline: float) -> None:
    """Do it; end it when the client leaves. Raises `Refused` if it takes far too long."""
    doing = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_left(receive))
    patience = deadline + GRACE - asyncio.get_running_loop().time()
    try:
        done, _ = await asyncio.wait(
            {doing, gone}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
        )
        if doing in done:
            doing.result()
        elif not done:
            raise Refused("no answer in time", 503, code="timeout")
    finally:
        for task in (doing, gone):
            task.cancel()
        await asyncio.wait({doing, gone})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def side_by_side(streams: Sequence[AsyncIterator[T]]) -> AsyncIterator[tuple[int, T]]:
    """What several streams give, as it comes, with the number of the stream.

    Raises what one of them does; closing it closes them all.
    """
    come: asyncio.Queue[tuple[int, T | BaseException | None]] = asyncio.Queue(maxsize=64)

    async def feed(number: int, stream: AsyncIterator[T]) -> None:
        try:
            async with aclosing(stream):
                async for each in stream:
                    await come.put((number, each))
            await come.put((number, None))
        except Exception as error:
            await come.put((number, error))

    tasks = [asyncio.create_task(feed(number, stream)) for number, stream in enumerate(streams)]
    left = len(tasks)
    try:
        while left:
            number, each = await come.get()
            if isinstance(each, Exception):
                raise each
            if each is None:
                left -= 1
            else:
                yield number, each
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
