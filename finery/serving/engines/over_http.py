"""An engine in a process of its own, asked over HTTP on this machine alone.

One that ends is started again: what it was computing is lost, what comes after is not.
"""

import asyncio
import json
import logging
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

import httpx

from finery.serving.engines.engine import Ask, EngineError, Token
from finery.serving.refusals import Refused

PAUSE = 0.1
BACKOFF = (1, 5, 30)
"""Seconds before it is started again, the first time and after."""
LONGEST = 300
log = logging.getLogger(__name__)


class Dialect(Protocol):
    """How to start an engine and what to say to it."""

    name: str
    streams: int
    context: int | None
    shapes: bool
    path: str
    """Where it goes on with tokens."""
    seconds: float
    """It may take to start."""

    def command(self, port: int) -> Sequence[str]:
        """Starts it, to listen at a port; it ends when its standard input does, if it can."""

    def environment(self, key: str) -> Mapping[str, str]:
        """With the key that it shall ask for."""

    def body(self, ask: Ask) -> dict[str, Any]:
        """The request for a stream."""

    def reader(self) -> Callable[[dict[str, Any]], list[Token]]:
        """What the events of one stream say, in their order."""

    def stopped(self, event: dict[str, Any]) -> bool:
        """Whether an event says that the answer ended by itself."""


class OverHttp:
    """An engine that speaks a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.name, self.streams = dialect.name, dialect.streams
        self.context, self.shapes = dialect.context, dialect.shapes
        self.alive = False
        self._key = secrets.token_urlsafe(32)
        self._process: asyncio.subprocess.Process | None = None
        self._client: httpx.AsyncClient | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait until it answers. Raises `EngineError` with its last words."""
        with socket.create_server(("127.0.0.1", 0)) as place:
            port = place.getsockname()[1]
        if self._client:
            await self._client.aclose()
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=None,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=self.streams),
        )
        with tempfile.TemporaryFile() as screen:
            self._process = await asyncio.create_subprocess_exec(
                *self._dialect.command(port),
                env=dict(self._dialect.environment(self._key)),
                stdin=asyncio.subprocess.PIPE,
                stdout=screen,
                stderr=screen,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(self._dialect.seconds):
                    await self._answers()
            except TimeoutError:
                await self._end()
                raise EngineError(f"{self.name}: no answer in {self._dialect.seconds} s") from None
            except EngineError:
                screen.seek(max(0, screen.tell() - 4000))
                lines = screen.read().decode(errors="replace").split("\n")
                said = next((line for line in reversed(lines) if line.strip()), "no word")
                raise EngineError(f"{self.name}: does not start: {said[:LONGEST]}") from None
        self.alive = True
        self._watching = asyncio.create_task(self._watch())

    async def tokens(self, ask: Ask) -> AsyncIterator[Token]:
        written: list[int] = []
        while len(written) < ask.room:
            now = replace(ask, prompt=[*ask.prompt, *written], room=ask.room - len(written))
            ended, read = False, self._dialect.reader()
            async for event in self._events(now):
                for token in read(event):
                    written.append(token.id)
                    yield token
                ended = ended or self._dialect.stopped(event)
            if not ended or (written[-1:] and written[-1] in ask.stops):
                return
            if ask.schema is not None or not written:  # it is complete
                yield Token(ask.stops[0])
                return
            # It ends at more tokens than the model's folder says: go on behind this one.

    async def close(self) -> None:
        self.alive = False
        if self._watching:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._end()
        if self._client:
            await self._client.aclose()

    async def _events(self, ask: Ask) -> AsyncIterator[dict[str, Any]]:
        assert self._client is not None
        try:
            async with self._client.stream(
                "POST", self._dialect.path, json=self._dialect.body(ask)
            ) as answer:
                if answer.status_code != 200:
                    raise _refused(self.name, answer.status_code, await answer.aread())
                async for line in _lines(answer):
                    said = line.removeprefix(b"data:").strip()
                    if line.startswith(b"data:") and said != b"[DONE]":
                        event = json.loads(said)
                        if "error" in event:
                            raise _refused(self.name, 500, said)
                        yield event
        except httpx.TransportError:
            raise EngineError(
                f"the engine {self.name} ended; it is started again, try again soon"
            ) from None

    async def _answers(self) -> None:
        assert self._process is not None and self._client is not None
        while self._process.returncode is None:
            with suppress(httpx.TransportError):
                if (await self._client.get("/health", timeout=5)).status_code == 200:
                    return
            await asyncio.sleep(PAUSE)
        raise EngineError(f"{self.name}: ended")

    async def _watch(self) -> None:
        assert self._process is not None
        status = await self._process.wait()
        self.alive = False
        log.error("%s ended with status %s; it is started again", self.name, status)
        for seconds in (*BACKOFF, *[BACKOFF[-1]] * 10_000):
            await asyncio.sleep(seconds)
            try:
                return await self.start()
            except EngineError as error:
                log.error("%s", error)

    async def _end(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        if self._process.stdin:
            self._process.stdin.close()
        self._process.terminate()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Lines as server-sent events have them; httpx's own end at U+2028 and the like, too."""
    rest = b""
    async for part in answer.aiter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line


def _refused(name: str, status: int, said: bytes) -> Refused | EngineError:
    """What the engine does not take; anything else is its own fault."""
    try:
        error = json.loads(said)["error"]
        message = " ".join(str(error.get("message", error)).split())
    except (ValueError, KeyError, AttributeError, TypeError):
        message = said[:LONGEST].decode(errors="replace")
    if status in (400, 422):
        return Refused(f"{name}: {message[:LONGEST]}")
    return EngineError(f"{name}: status {status}: {message[:LONGEST]}")
