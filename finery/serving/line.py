"""Those who wait for the model: so many and no more."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from finery.serving.refusals import Refused

AGAIN = {"Retry-After": "1"}


class Line:
    """Lets in as many answers as are computed at once, and a few that wait."""

    def __init__(self, streams: int, waiting: int) -> None:
        self.most = streams + waiting
        self.inside = self.computing = 0
        self._streams = asyncio.Semaphore(streams)

    @property
    def waiting(self) -> int:
        return self.inside - self.computing

    @contextmanager
    def enter(self, answers: int) -> Iterator[None]:
        """A place for a request of so many answers. Raises `Refused` if the line is full."""
        if answers > self.most:
            raise Refused(f"n: {answers} answers, and there is room for {self.most}", param="n")
        if self.inside + answers > self.most:
            raise Refused(
                "too many requests wait already; try again soon",
                429,
                code="queue_full",
                headers=AGAIN,
            )
        self.inside += answers
        try:
            yield
        finally:
            self.inside -= answers

    @asynccontextmanager
    async def turn(self, deadline: float) -> AsyncIterator[None]:
        """Wait until one more answer can be computed. Raises `Refused` when time is up."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._streams.acquire()
        except TimeoutError:
            raise Refused(
                "no turn came in time; try again later", 503, code="timeout", headers=AGAIN
            ) from None
        self.computing += 1
        try:
            yield
        finally:
            self.computing -= 1
            self._streams.release()
