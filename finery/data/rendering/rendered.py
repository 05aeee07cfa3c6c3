"""Conversations as text with their turns: exactly, and quickly where that is the same.

Finding the turns of a conversation (`finery.data.rendering.spans`) takes several renderings.
Conversations of one shape, the same roles in the same order, mostly differ in their words alone:
what stands around the words is learnt once from made-up ones. Then one rendering is enough, if it
is, to the letter, what was learnt with these words in it; if not, the turns are found the exact
way. Where the template provably only prints the words (`finery.data.rendering.verbatim`), no
rendering is needed.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from finery.data.formats.examples import Message
from finery.data.formats.unread import NO_THOUGHTS, THOUGHTS
from finery.data.rendering.control_tokens import ControlTokens
from finery.data.rendering.encoding import Text, byte_size, marked
from finery.data.rendering.images import ImageTokens
from finery.data.rendering.spans import Turns, end_of_turn, leaves_open, turns
from finery.data.rendering.template import ChatTemplate, TemplateError, Tools
from finery.data.rendering.thinking import loses_thinking, writes_thinking

Shape = tuple[bool | str, ...]
"""Whether the last turn alone counts, and the roles."""
PADDING = "\u2003"
"""White space that no template has of its own."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What a template writes around the words: `around[i]` before message i, the last at the end.

    `size` is that of all around in bytes; `turns` has, for each turn that counts, the index of its
    message, and how much of that comes before it begins and before it ends.
    """

    around: list[str]
    size: int
    turns: list[tuple[int, int, int]]
    noted: tuple[str, ...] = ()
    trims: list[int] | None = None
    """The messages whose words are trimmed; None if that is not all that can happen to words."""

    def filled(self, words: Sequence[str]) -> str:
        pieces = [""] * (2 * len(words) + 1)
        pieces[::2], pieces[1::2] = self.around, words
        return "".join(pieces)

    def with_turns(self, text: str, words: Sequence[str]) -> Text:
        """The text that is filled with these words, and where its turns are."""
        sizes = [len(said) if said.isascii() else len(said.encode()) for said in words]
        places, said, done = [], 0, 0
        for index, before, after in self.turns:
            said += sum(sizes[done:index])
            places += before + said, after + said + sizes[index]
            done = index
        return Text(text, self.size + sum(sizes), places, self.noted)


class WeightError(TemplateError):
    """The settings count what the weights of a conversation do not, or nothing is left to count."""


class Rendering:
    """Renders conversations with a tokenizer's chat template and finds the assistant's turns."""

    def __init__(
        self,
        tokenizer: Any,
        keywords: Mapping[str, Any] | None = None,
        images: ImageTokens | None = None,
    ) -> None:
        self.template = ChatTemplate(tokenizer, keywords, images.shaped if images else None)
        if images:
            images.suit(self.template.render)
        self._skeletons: dict[Shape, Skeleton | None] = {}
        self._writes_thinking = writes_thinking(self.template)
        self._prints_words_only = self.template.prints_words_only()
        self.control = ControlTokens(tokenizer)
        self._end_of_turn = end_of_turn(self.template, self.control.pattern)
        self._ending = (tokenizer.eos_token or "") if leaves_open(self.template) else ""

    def conversation(
        self,
        messages: Sequence[Message],
        tools: Tools,
        last_only: bool,
        uncounted: Collection[int] = (),
        count_empty: bool = False,
    ) -> Text:
        """The text, with the ranges of the assistant's turns, or of the last one alone.

        Those of the messages `uncounted` (indices) are not among them, nor is an empty thought that
        the template puts before an answer, unless `count_empty`. If the template writes
        nothing to end the last turn, the tokenizer's end of sequence does: otherwise a model would
        learn never to stop. Raises `TemplateError`.
        """
        self.control.refuse(messages, tools)
        found = None if tools or count_empty else self._by_skeleton(messages, last_only)
        found = found or self._exactly(messages, tools, last_only, count_empty)
        found = self._ended(found) if self._ending else found
        if not uncounted:
            return found
        return _without(found, _counted(messages, last_only), uncounted)

    def _by_skeleton(self, messages: Sequence[Message], last_only: bool) -> Text | None:
        """None if the template does more than to put the words, or them trimmed, into a frame."""
        if max(map(len, messages)) > 2:
            return None
        roles = [message["role"] for message in messages]
        shape = (last_only, *roles)
        if shape not in self._skeletons:
            self._skeletons[shape] = self._learnt(roles, last_only)
        if (skeleton := self._skeletons[shape]) is None:
            return None
        words = [message["content"] for message in messages]
        if skeleton.trims is not None:
            for index in skeleton.trims:
                words[index] = words[index].strip()
            return skeleton.with_turns(skeleton.filled(words), words)
        text = self.template.render(messages)
        for said in (words, [each.strip() for each in words]):
            if skeleton.filled(said) == text:
                return skeleton.with_turns(text, said)
        return None

    def _ended(self, found: Text) -> Text:
        *places, end = found.places
        text = found.text.encode()[:end].decode() + self._ending
        end += byte_size(self._ending)
        return Text(text, end, [*places, end], found.noted)

    def _learnt(self, roles: Sequence[str], last_only: bool) -> Skeleton | None:
        words = [f"\ue0a0{number}\ue0a1" for number in range(len(roles))]
        messages = [{"role": r, "content": w} for r, w in zip(roles, words, strict=True)]
        counted = _counted(messages, last_only)
        try:
            text, spans, empty = self._turns(messages, (), counted)
        except TemplateError:
            return None
        around = re.split("|".join(words), text)
        skeleton = Skeleton(around, byte_size("".join(around)), [], _noted(empty))
        if len(around) != len(words) + 1 or skeleton.filled(words) != text:
            return None
        for index, span in zip(counted, spans, strict=True):
            # A turn begins before its own words, and ends behind them.
            before, after = (byte_size(re.sub("|".join(words), "", text[:place])) for place in span)
            skeleton.turns.append((index, before, after))
        return replace(skeleton, trims=self._trims(skeleton, roles, words))

    def _trims(
        self, skeleton: Skeleton, roles: Sequence[str], words: list[str]
    ) -> list[int] | None:
        if not self._prints_words_only:
            return None
        padded = [f"{PADDING}{word}{PADDING}" for word in words]
        text = self.template.render(
            [{"role": r, "content": w} for r, w in zip(roles, padded, strict=True)]
        )
        trims = [index for index, word in enumerate(padded) if word not in text]
        said = [words[i] if i in trims else padded[i] for i in range(len(words))]
        return trims if skeleton.filled(said) == text else None

    def _exactly(
        self,
        messages: Sequence[Message],
        tools: Tools,
        last_only: bool,
        count_empty: bool = False,
    ) -> Text:
        counted = _counted(messages, last_only)
        text, spans, empty = self._turns(messages, tools, counted, count_empty)
        found = marked(text, [*chain.from_iterable(spans)])._replace(noted=_noted(empty))
        if not loses_thinking(text, messages):
            return found
        if not self._writes_thinking and any("reasoning_content" in each for each in messages):
            raise TemplateError(
                "the chat template has no place for thinking; write it into the content, remove it,"
                " or use another model.chat_template"
            )
        return found._replace(noted=(*found.noted, THOUGHTS))

    def _turns(
        self,
        messages: Sequence[Message],
        tools: Tools,
        counted: Sequence[int],
        count_empty: bool = False,
    ) -> Turns:
        return turns(self.template, messages, tools, counted, self._end_of_turn, count_empty)


def _without(found: Text, turns: Sequence[int], uncounted: Collection[int]) -> Text:
    """The text without the ranges of some of its turns."""
    ranges = zip(turns, zip(found.places[::2], found.places[1::2], strict=True), strict=True)
    places = [place for turn, span in ranges if turn not in uncounted for place in span]
    if not places:
        raise WeightError(
            "the last answer has the weight 0, and data.mask_history counts no other; remove it"
        )
    return found._replace(places=places)


def _noted(empty: bool) -> tuple[str, ...]:
    return (NO_THOUGHTS,) if empty else ()


def _counted(messages: Sequence[Message], last_only: bool) -> list[int]:
    said = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    return said[-1:] if last_only else said
