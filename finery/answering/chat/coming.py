"""Engines that are loaded while one types the first question."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any

from finery.answering.engine import Engine


class Coming:
    """An engine that is being loaded: who asks anything of it waits until it is there.

    Raises then what loading it raised.
    """

    def __init__(self, loaded: "Future[Sequence[Engine]]", place: int) -> None:
        self._loaded, self._place = loaded, place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaded.result()[self._place], name)

    @property
    def here(self) -> bool:
        return self._loaded.done()


def coming(load: Callable[[], Sequence[Engine]], count: int) -> list[Coming]:
    """The `count` engines that `load` gives, which is called in a thread of its own."""
    loaded: Future[Sequence[Engine]] = Future()

    def fulfil() -> None:
        try:
            loaded.set_result(load())
        except BaseException as error:
            loaded.set_exception(error)

    Thread(target=fulfil, daemon=True).start()
    return [Coming(loaded, place) for place in range(count)]
