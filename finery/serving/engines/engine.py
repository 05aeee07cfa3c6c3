"""What computes tokens: the one door between the API and an engine."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from finery.answering.sampling import Sampling
from finery.errors import PipelineError


class EngineError(PipelineError):
    """An engine cannot be started, or ended by itself."""


@dataclass(frozen=True)
class Ask:
    """A prompt, as tokens, and how to go on with it: until one of `stops`, or `room` tokens.

    `likeliest`: of how many tokens the probability is wanted at each place, beside the one that is
    chosen; None if of none. `schema`: a JSON Schema that the answer must fit; {} for any object.
    """

    prompt: Sequence[int]
    room: int
    stops: Sequence[int]
    sampling: Sampling
    likeliest: int | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Token:
    """A token of an answer, with the logarithm of its probability and the likeliest ones' if asked
    for.
    """

    id: int
    logprob: float | None = None
    likeliest: Sequence[tuple[int, float]] = ()


class Engine(Protocol):
    """Computes answers, `streams` of them at once."""

    name: str
    streams: int
    shapes: bool
    """Whether it can hold an answer to a JSON Schema."""

    @property
    def context(self) -> int | None:
        """How many tokens prompt and answer have together at most, if it has a limit of its own."""

    @property
    def alive(self) -> bool:
        """Whether it computes; one that does not says so in `/health`."""

    def tokens(self, ask: Ask) -> AsyncIterator[Token]:
        """The answer's tokens as they come, with the one that ends it; closing it ends the
        computing. Raises `Refused` for what the engine does not take, `EngineError` if it is down.
        """

    async def close(self) -> None:
        """End it, and give back what it holds."""
