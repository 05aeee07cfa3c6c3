"""What a row of a dataset says, whatever format it was written in."""

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}
Message = dict[str, Any]
"""`role` (system, user, assistant or tool) and `content`, as chat templates take them; a call of
tools is an assistant's message with `tool_calls`, reasoning is its `reasoning_content`."""


@dataclass(slots=True)  # not frozen: made by the million, and twice as quickly
class Example:
    """One row: a text, a conversation, or a conversation with two answers or a verdict.

    - pretraining: `text`, and nothing else
    - supervised: `messages`, of which the last is the assistant's
    - preference: `messages` up to the question, and `chosen` and `rejected`, the two answers
    - KTO: as supervised, and `desirable`, whether the answer is a good one

    `row` counts from 1; `keywords` are what a right answer to the last turn contains.
    """

    dataset: str
    row: int
    messages: tuple[Message, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    text: str | None = None
    chosen: Message | None = None
    rejected: Message | None = None
    desirable: bool | None = None
    keywords: tuple[str, ...] = ()
    uncounted: tuple[int, ...] = ()
    """The answers that the loss does not count, by their indices in `messages`."""
    images: tuple[Any, ...] = ()
    """Each a `finery.data.formats.images.Picture`, one for each `<image>` of the questions."""
    unread: tuple[str, ...] = ()
    """Columns and keys of messages that say something and are not read."""

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The tools that the last turn calls, by name and arguments."""
        last = self.messages[-1] if self.messages else {}
        return [call["function"] for call in last.get("tool_calls") or ()]

    @property
    def reference(self) -> str:
        """What the answer to a test is compared with: the last turn's words, or calls as JSON.

        What it thinks before it speaks, in <think></think>, is not compared.
        """
        if calls := self.calls:
            return json.dumps(calls, ensure_ascii=False)
        words = self.messages[-1]["content"]
        thought = THOUGHT.match(words)
        return words[thought.end() :] if thought else words

    @property
    def says_nothing(self) -> bool:
        """Whether a test could not fail: the reference has no letter to be seen, and no call."""
        return all(unicodedata.category(letter) in INVISIBLE for letter in self.reference)

    @property
    def texts(self) -> list[str]:
        """All that is said, in order; the words without who says them."""
        if self.text is not None:
            return [self.text]
        said = [message["content"] for message in self.messages]
        if self.chosen is not None and self.rejected is not None:
            said += self.chosen["content"], self.rejected["content"]
        return said
