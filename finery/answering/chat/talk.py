"""A talk with one model or several at once: what one types, and what comes of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from finery.answering.chat.conversation import Conversation
from finery.answering.engine import Engine, Piece, Request
from finery.answering.sampling import Sampling
from finery.answering.tools import results, waiting
from finery.models.conversation import Message


@dataclass
class Speaker:
    """A model under its name, with its own conversation."""

    name: str
    engine: Engine
    sampling: Sampling
    switch: Callable[[bool | None], Mapping[str, Any]]
    """The keywords that turn its thinking on or off. Raises `PromptError` if none does."""
    conversation: Conversation = field(default_factory=Conversation)


@dataclass
class Talk:
    """All that one sets while talking; a question goes to each of the speakers."""

    speakers: Sequence[Speaker]
    tools: tuple[dict[str, Any], ...] = ()
    thinking: bool | None = None
    """None: as the model's chat template has it."""
    seen: list[str] = field(default_factory=list)
    """Images that go along with the next question."""

    def ask(self, words: str) -> None:
        """Put a question to all, or if a tool was called, its result."""
        for speaker in self.speakers:
            turn: Message = {"role": "user", "content": words}
            if self.seen:
                turn["images"] = list(self.seen)
            speaker.conversation.turns.append(turn)
        self.seen.clear()

    def result(self, words: str) -> bool:
        """Tell what the tool that was called has to say; whether all calls have their results."""
        for speaker in self.speakers:
            turns = speaker.conversation.turns
            turns.append(results(turns, words))
        return not any(waiting(speaker.conversation.turns) for speaker in self.speakers)

    def take_back(self) -> None:
        """Take back a last question that no answer came to."""
        for speaker in self.speakers:
            if speaker.conversation.turns and speaker.conversation.turns[-1]["role"] == "user":
                speaker.conversation.turns.pop()

    def answer(self, speaker: Speaker) -> Iterator[Piece]:
        """One speaker's answer to what was said last."""
        request = Request((), speaker.sampling, self.tools, speaker.switch(self.thinking))
        return speaker.conversation.answer(speaker.engine, request)

    def set(self, **values: Any) -> None:
        """Change the sampling of all. Raises `SamplingError`, and nothing is changed."""
        changed = [speaker.sampling.changed(**values) for speaker in self.speakers]
        for speaker, sampling in zip(self.speakers, changed, strict=True):
            speaker.sampling = sampling

    def set_thinking(self, thinking: bool | None) -> None:
        """Turn thinking on or off. Raises `PromptError` where a model has no switch for it."""
        for speaker in self.speakers:
            speaker.switch(thinking)
        self.thinking = thinking
