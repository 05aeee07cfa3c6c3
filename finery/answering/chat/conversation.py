"""A conversation: what was said, kept whole, and what of it the model still has room for."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finery.answering.engine import ContextFull, Ended, Engine, Piece, Request
from finery.answering.files import read_text, write_text
from finery.answering.messages import MessageError, checked_messages
from finery.answering.sight import IMAGES, images_of
from finery.answering.thoughts import parted
from finery.answering.tools import called
from finery.models.conversation import Message

TAG = "<image>"
"""What stands for an image in the words of datasets."""
RESERVED = 4
"""A quarter of the context is left for the answer, if that may be as long."""


@dataclass
class Conversation:
    """Turns after one another; `system` comes first, if there is one."""

    system: str = ""
    turns: list[Message] = field(default_factory=list)
    passed_over: int = 0
    """How many of the oldest questions the model did not read any more, the last time."""
    opened: str = ""
    """The thought that the prompt has begun for the last answer, if it has."""

    @property
    def messages(self) -> list[Message]:
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self.turns]

    def answer(self, engine: Engine, request: Request) -> Iterator[Piece]:
        """The answer to the last turn, which joins the conversation, also if it is broken off.

        `request` says how to sample; its messages are these. Where the context is full the oldest
        questions are passed over, with their answers; the conversation keeps them. Raises
        `ContextFull` if the last turn alone does not fit.
        """
        asked = self._fitting(engine, request)
        self.opened = engine.opened(asked)
        said: list[str] = []
        ended = None
        try:
            for piece in engine.stream(asked):
                said.append(piece.text)
                ended = piece.ended
                yield piece
        finally:
            if said:
                self.turns.append(_turn(ended, "".join(said), self.opened))

    def undo(self) -> Message | None:
        """Take the last question back, with all that came after it; it is returned."""
        if not self._questions:
            return None
        place = self._questions[-1]
        question = self.turns[place]
        del self.turns[place:]
        return question

    def unanswered(self) -> bool:
        """Take the last answer back, if there is one; whether a question is open then."""
        if self.turns and self.turns[-1]["role"] == "assistant":
            self.turns.pop()
        return bool(self.turns)

    @property
    def _questions(self) -> list[int]:
        return [i for i, turn in enumerate(self.turns) if turn["role"] == "user"]

    def _fitting(self, engine: Engine, request: Request) -> Request:
        """The request with what fits: the system prompt, and the latest questions."""
        first = self.messages[: len(self.messages) - len(self.turns)]
        starts = self._questions or [0]
        reserve = 1
        if engine.context is not None:
            reserve = min(request.sampling.max_new_tokens, engine.context // RESERVED)
        for passed, start in enumerate(starts):
            asked = Request(
                [*first, *self.turns[start if passed else 0 :]],
                request.sampling,
                request.tools,
                request.keywords,
            )
            self.passed_over = passed
            if engine.context is None or engine.count(asked) + reserve <= engine.context:
                return asked
        if engine.count(asked) < engine.context:
            return asked
        raise ContextFull(
            f"the question has {engine.count(asked)} tokens with all that must go with it, and the"
            f" model reads {engine.context} at most; shorten it"
        )


def _turn(ended: Ended | None, said: str, opened: str) -> Message:
    """The assistant's message; calls of tools in the form that chat templates write out."""
    text = ended.text if ended else said
    if ended is None or not ended.calls:
        return {"role": "assistant", "content": opened + text}
    thought, _ = parted(text, bool(opened))
    beside = {"reasoning_content": thought} if thought else {}
    return {"role": "assistant", "content": "", "tool_calls": called(ended.calls)} | beside


def save(file: Path, conversation: Conversation, tools: Sequence[dict[str, Any]]) -> None:
    """Write a conversation as a row of a dataset in OpenAI's format has it."""
    messages = [_written(message) for message in conversation.messages]
    said: dict[str, Any] = {"messages": messages}
    if images := images_of(conversation.messages):
        said["images"] = list(map(str, images))
    said |= {"tools": list(tools)} if tools else {}
    write_text(file, json.dumps(said, ensure_ascii=False, indent=2) + "\n")


def _written(message: Message) -> Message:
    """A message as datasets have it: with a tag for each image."""
    shown = message.get(IMAGES)
    if not shown:
        return message
    content = TAG * len(shown) + message["content"]
    return {key: value for key, value in message.items() if key != IMAGES} | {"content": content}


def _shown(messages: list[Message], images: list[str]) -> list[Message]:
    """Messages of a dataset, each with the images that its tags stand for."""
    left, found = iter(images), []
    for message in messages:
        words = message.get("content") or ""
        shown = [image for _, image in zip(range(words.count(TAG)), left, strict=False)]
        given = {"content": words.replace(TAG, ""), IMAGES: shown} if shown else {}
        found.append(message | given)
    return found


def load(file: Path) -> tuple[Conversation, list[Any]]:
    """A saved conversation and its tools. Raises `MessageError`."""
    try:
        said = json.loads(read_text(file))
    except ValueError as error:
        raise MessageError(f"{file}: not JSON ({error})") from None
    said = {"messages": said} if isinstance(said, list) else said
    messages = said.get("messages") if isinstance(said, dict) else None
    if not isinstance(messages, list):
        raise MessageError(f'{file}: must be {{"messages": [...]}} as /save writes it')
    checked = _shown(checked_messages(messages, str(file)), said.get("images") or [])
    system = checked[0]["content"] if checked and checked[0]["role"] == "system" else ""
    tools = said.get("tools") or []
    return Conversation(system, checked[1:] if system else checked), tools
