"""A model in service: what its folder says, and the engine that computes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from finery.answering.engine import Ended
from finery.serving.door.meters import Meters
from finery.serving.engines.engine import Ask, Engine, Token
from finery.serving.line import Line
from finery.serving.refusals import Refused, context_full
from finery.serving.wording import Wording


@dataclass(frozen=True)
class Spoken:
    """Some words of an answer and the tokens since the last ones; with the last, the end, and what
    was written with its control tokens.
    """

    text: str
    tokens: Sequence[Token] = ()
    ended: Ended | None = None
    written: str = ""


class Served:
    """One model that answers, until nobody needs it any more."""

    def __init__(
        self, name: str, wording: Wording, engine: Engine, waiting: int, meters: Meters
    ) -> None:
        self.name, self.wording, self.engine, self.meters = name, wording, engine, meters
        self.folder = wording.folder
        self.line = Line(engine.streams, waiting)
        self.since = int(time.time())
        limits = [each for each in (wording.context, engine.context) if each is not None]
        self.context = min(limits, default=None)
        self._idle = asyncio.Event()
        self._idle.set()
        self._users = 0

    def __enter__(self) -> "Served":
        """Use it: it is not closed before the block ends."""
        self._users += 1
        self._idle.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if not self._users:
            self._idle.set()

    async def close(self) -> None:
        """End it, once all that it is asked has its answer."""
        await self._idle.wait()
        await self.engine.close()

    def room(self, prompt: int, wanted: int) -> int:
        """How many tokens an answer may have. Raises `Refused` if the prompt leaves none."""
        if self.context is None:
            return wanted
        if prompt >= self.context:
            raise context_full(prompt, self.context)
        return min(wanted, self.context - prompt)

    async def speak(self, ask: Ask, deadline: float, trimmed: bool = True) -> AsyncIterator[Spoken]:
        """The answer in words, as they come: whole characters, up to the first stop text.

        At the `deadline` (of the event loop's clock) it is cut off; raises `Refused` if it had no
        turn until then.
        """
        words = self.wording.words(ask.sampling.stop, trimmed)
        ids: list[int] = []
        new: list[Token] = []
        said, begun = "", time.perf_counter()
        self.meters.prompt_tokens.inc(len(ask.prompt))
        async with self.line.turn(deadline), aclosing(self.engine.tokens(ask)) as tokens:
            async for token in _until(deadline, tokens):
                if not ids:
                    self.meters.first.observe(time.perf_counter() - begun)
                ids.append(token.id)
                self.meters.answer_tokens.inc()
                if token.id in ask.stops:
                    break
                new.append(token)
                if text := words.add(token.id):
                    said += text
                    yield Spoken(text, new)
                    new = []
                if words.stopped:
                    break
        text = words.end()
        answer = self.wording.answer(ids)
        reason = "stop" if words.stopped or answer.finished else "length"
        ended = Ended(said + text, reason, len(ask.prompt), len(ids))
        yield Spoken(text, new, ended, answer.written)

    def check(self) -> None:
        """Raises `Refused` if it does not compute."""
        if not self.engine.alive:
            raise Refused("the engine is down", 503, code="engine_down")


async def _until(deadline: float, tokens: AsyncIterator[Token]) -> AsyncIterator[Token]:
    """The tokens that come before the deadline."""
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                token = await anext(tokens)
        except (TimeoutError, StopAsyncIteration):
            return
        yield token
