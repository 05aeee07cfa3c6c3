"""What an engine is asked and what it gives: the one door between models and those who talk.

An engine renders the conversation by the package's chat template, stops where the package says
that answers end, and gives the words as they come. transformers is one (`in_process`); a server of
llama.cpp or vLLM that is asked over HTTP can be another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from finery.answering.sampling import Sampling
from finery.errors import UserError
from finery.models.conversation import Message, Tools


class ContextFull(UserError):
    """A conversation has more tokens than the model can read."""


@dataclass(frozen=True)
class Request:
    """A conversation that waits for the assistant's turn, and how to sample that.

    `keywords` go to the chat template, such as enable_thinking. A message may have `images`, the
    paths of files, for models that see.
    """

    messages: Sequence[Message]
    sampling: Sampling = field(default_factory=Sampling)
    tools: Tools = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """An answer as a whole.

    - `text`: the words, without white space around them; what the pieces add up to
    - `reason`: `stop` if the model ended it or a stop text was found, `length` if it was cut off
    - `calls`: the tools that it calls, each with `name` and `arguments`; looked for only if the
      request has tools
    """

    text: str
    reason: Literal["stop", "length"]
    prompt_tokens: int
    tokens: int
    calls: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Piece:
    """Some words of an answer, whole characters; with the last, which may be none, the end."""

    text: str = ""
    ended: Ended | None = None


class Engine(Protocol):
    """A model that answers one request after another."""

    @property
    def context(self) -> int | None:
        """How many tokens prompt and answer have together at most; None if nothing limits it."""

    @property
    def sees(self) -> bool:
        """Whether messages may have images."""

    def opened(self, request: Request) -> str:
        """The thought that the prompt begins and the answer goes on with, as "<think>"; or ""."""

    def count(self, request: Request) -> int:
        """The tokens of the prompt. Raises `ConversationError` as the chat template does."""

    def stream(self, request: Request) -> Iterator[Piece]:
        """The answer, piece by piece; who closes the iterator early stops the computing.

        Raises `ContextFull` if not one token of an answer has room, `ConversationError` if the
        chat template refuses the messages.
        """


def whole(pieces: Iterator[Piece]) -> Ended:
    """The answer at once."""
    *_, last = pieces
    if last.ended is None:
        raise RuntimeError("an engine gave an answer without an end")
    return last.ended
