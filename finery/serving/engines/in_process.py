"""transformers as an engine: one answer at a time, in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from finery.answering.generating import generate
from finery.serving.engines.engine import Ask, Token


class InProcess:
    """A loaded model. What it says under temperature 0 is what the evaluation has it say."""

    name = "transformers"
    streams = 1
    shapes = False
    context = None
    alive = True

    def __init__(self, model: Any) -> None:
        self._model = model
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")

    async def tokens(self, ask: Ask) -> AsyncIterator[Token]:
        loop, left = asyncio.get_running_loop(), Event()
        said: asyncio.Queue[Token | None] = asyncio.Queue()

        def tell(token: Token | None) -> None:
            loop.call_soon_threadsafe(said.put_nowait, token)

        computing = loop.run_in_executor(self._thread, self._generate, ask, tell, left.is_set)
        try:
            while token := await said.get():
                yield token
            await computing
        finally:
            left.set()
            await asyncio.wait([computing])

    async def close(self) -> None:
        self._model = None
        self._thread.shutdown(wait=False)

    def _generate(
        self, ask: Ask, tell: Callable[[Token | None], None], left: Callable[[], bool]
    ) -> None:
        chosen = _Likeliest(ask.likeliest)
        watching = None if ask.likeliest is None else chosen.see
        try:
            generate(
                self._model, ask.prompt, ask.room, ask.stops, ask.sampling,
                lambda token: tell(chosen.of(token)), left, watching=watching,
            )  # fmt: skip
        finally:
            tell(None)


class _Likeliest:
    """The probabilities of the tokens at the place that is being written."""

    def __init__(self, count: int | None) -> None:
        self._count, self._seen = count, None

    def see(self, logits: Any) -> None:
        self._seen = logits.float().log_softmax(-1)

    def of(self, token: int) -> Token:
        if self._count is None:
            return Token(token)
        values, ids = self._seen.topk(min(self._count, len(self._seen)))
        pairs = zip(ids.tolist(), values.tolist(), strict=True)
        return Token(token, self._seen[token].item(), tuple(pairs))
