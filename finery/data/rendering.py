"""Conversations as text with their turns: exactly, and quickly where that is the same.

Finding the turns of a conversation (`finery.data.spans`) takes several renderings. Conversations
of one shape, the same roles in the same order, mostly differ in their words alone: what stands
around the words is learnt once from made-up ones. Then one rendering is enough, if it is, to the
letter, what was learnt with these words in it; if not, the turns are found the exact way. Where
the template provably only prints the words (`finery.data.verbatim`), no rendering is needed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from finery.data.control_tokens import ControlTokens
from finery.data.examples import Message
from finery.data.spans import Span, Tools, end_of_turn, leaves_open, turns
from finery.data.template import ChatTemplate, TemplateError

Shape = tuple[str, ...]
PADDING = "\u2003"
"""White space that no template has of its own."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What a template writes around the words: `around[i]` before message i, the last at the end.

    `turns` has, for each turn that counts, the index of its message, and how many characters
    before and after its words belong to it.
    """

    around: list[str]
    turns: list[tuple[int, int, int]]
    trims: list[bool] | None = None
    """For each message, whether its words are trimmed; None if that is not all that can happen."""

    def filled(self, words: Sequence[str]) -> str:
        pieces = self.around[:1]
        for said, around in zip(words, self.around[1:], strict=True):
            pieces += said, around
        return "".join(pieces)

    def spans(self, words: Sequence[str]) -> list[Span]:
        spans, end, done = [], 0, 0
        for index, before, after in self.turns:
            for number in range(done, index + 1):
                end += len(self.around[number]) + len(words[number])
            done = index + 1
            spans.append((end - len(words[index]) - before, end + after))
        return spans


class Rendering:
    """Renders conversations with a tokenizer's chat template and finds the assistant's turns."""

    def __init__(self, tokenizer: Any) -> None:
        self.template = ChatTemplate(tokenizer)
        self._skeletons: dict[Shape, Skeleton | None] = {}
        self._prints_words_only = self.template.prints_words_only()
        self.control = ControlTokens(tokenizer)
        self._end_of_turn = end_of_turn(self.template, self.control.pattern)
        self._ending = (tokenizer.eos_token or "") if leaves_open(self.template) else ""

    def conversation(
        self, messages: Sequence[Message], tools: Tools, last_only: bool
    ) -> tuple[str, list[Span]]:
        """The text, and the character ranges of the assistant's turns, or of the last one alone.

        If the template writes nothing to end the last turn, the tokenizer's end of sequence does:
        otherwise a model would learn never to stop. Raises `TemplateError`.
        """
        self.control.refuse(messages, tools)
        found = None if tools else self._by_skeleton(messages, last_only)
        text, spans = found or self._turns(messages, tools, _counted(messages, last_only))
        if self._ending:
            start, end = spans[-1]
            text, spans[-1] = text[:end] + self._ending, (start, end + len(self._ending))
        return text, spans

    def _by_skeleton(
        self, messages: Sequence[Message], last_only: bool
    ) -> tuple[str, list[Span]] | None:
        """None if the template does more than to put the words, or them trimmed, into a frame."""
        roles = [message["role"] for message in messages if len(message) == 2]
        if len(roles) < len(messages):
            return None
        shape = ("last" if last_only else "all", *roles)
        if shape not in self._skeletons:
            self._skeletons[shape] = self._learnt(shape[1:], last_only)
        if (skeleton := self._skeletons[shape]) is None:
            return None
        words = [message["content"] for message in messages]
        if skeleton.trims is not None:
            said = words
            if any(skeleton.trims):
                said = [w.strip() if t else w for w, t in zip(words, skeleton.trims, strict=True)]
            return skeleton.filled(said), skeleton.spans(said)
        text = self.template.render(messages)
        for said in (words, [each.strip() for each in words]):
            if skeleton.filled(said) == text:
                return text, skeleton.spans(said)
        return None

    def _learnt(self, roles: Shape, last_only: bool) -> Skeleton | None:
        words = [f"\ue0a0{number}\ue0a1" for number in range(len(roles))]
        messages = [{"role": r, "content": w} for r, w in zip(roles, words, strict=True)]
        counted = _counted(messages, last_only)
        try:
            text, spans = self._turns(messages, (), counted)
        except TemplateError:
            return None
        around = re.split("|".join(words), text)
        skeleton = Skeleton(around, [])
        if len(around) != len(words) + 1 or skeleton.filled(words) != text:
            return None
        for index, (start, end) in zip(counted, spans, strict=True):
            at = text.index(words[index])
            skeleton.turns.append((index, at - start, end - at - len(words[index])))
        return replace(skeleton, trims=self._trims(skeleton, roles, words))

    def _trims(self, skeleton: Skeleton, roles: Shape, words: list[str]) -> list[bool] | None:
        if not self._prints_words_only:
            return None
        padded = [f"{PADDING}{word}{PADDING}" for word in words]
        text = self.template.render(
            [{"role": r, "content": w} for r, w in zip(roles, padded, strict=True)]
        )
        trims = [word not in text for word in padded]
        said = [w if t else p for w, p, t in zip(words, padded, trims, strict=True)]
        return trims if skeleton.filled(said) == text else None

    def _turns(
        self, messages: Sequence[Message], tools: Tools, counted: Sequence[int]
    ) -> tuple[str, list[Span]]:
        return turns(self.template, messages, tools, counted, self._end_of_turn)


def _counted(messages: Sequence[Message], last_only: bool) -> list[int]:
    said = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    return said[-1:] if last_only else said
