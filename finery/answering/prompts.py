"""The prompt for an answer, by the chat template of the model's folder alone."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finery import lineage
from finery.answering.sight import Sight
from finery.errors import UserError
from finery.models.conversation import (
    BEGUN,
    ConversationError,
    ConversationTemplate,
    Message,
    Tools,
)
from finery.models.jinja import unknown_keywords

SWITCHES = ("enable_thinking", "thinking")
"""What templates call the keyword that turns thinking on and off."""

KEPT = 16
"""Templates with their keywords that are kept; who asks from outside may have any number."""


class PromptError(UserError):
    """The chat template has no place for what is asked."""


class Prompts:
    """Makes prompts as the test questions of the evaluation are: the same tokens."""

    def __init__(self, model: Path, tokenizer: Any, adapter: Path | None = None) -> None:
        self._tokenizer = tokenizer
        self._keywords = trained_keywords(adapter or model)
        self.sight = Sight(model)
        self._templates: dict[str, ConversationTemplate] = {}
        special = {t.content for t in tokenizer.added_tokens_decoder.values() if t.special}
        special |= set(tokenizer.all_special_tokens)
        longest_first = sorted(filter(None, special), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def text(
        self, messages: Sequence[Message], tools: Tools = (), keywords: Mapping[str, Any] = {}
    ) -> str:
        """All up to the assistant's turn. Raises `ConversationError`, and `SightError` for images
        that a model does not read.

        Words of the user's or a tool's that read as a control token are refused: they would become
        one, and end the turn early.
        """
        for message in messages:
            found = self._control.search(str(message.get("content") or ""))
            if message["role"] != "assistant" and found:
                raise ConversationError(
                    f"{message['role']}: contains the control token {found[0]}; remove it"
                )
        template = self._template(self._keywords | dict(keywords))
        shown = self.sight.shown(messages)
        text = template.render(shown, tools, add_generation_prompt=True)
        if tools and text == template.render(shown, (), add_generation_prompt=True):
            raise PromptError(
                "the chat template takes no tools; use a model that is trained on some"
            )
        return text

    def tokens(self, text: str, images: Sequence[Path] = ()) -> list[int]:
        """A text's tokens, in which those of `images` take their places. Raises `SightError`."""
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return self.sight.grown(ids, images)

    def _template(self, keywords: Mapping[str, Any]) -> ConversationTemplate:
        key = repr(sorted(keywords.items()))
        if key not in self._templates:
            if len(self._templates) >= KEPT:
                self._templates.clear()
            places = self.sight.places
            shaped = places.shaped if places else None
            self._templates[key] = ConversationTemplate(self._tokenizer, keywords, shaped)
            if places:
                places.suit(self._templates[key].render)
        return self._templates[key]


def begun_thought(prompt: str) -> str:
    """The end of a prompt whose answer goes on with a thought, as "<think>\\n"; "" of others."""
    found = BEGUN.search(prompt)
    return found[0] if found else ""


def trained_keywords(model: Path) -> dict[str, Any]:
    """The keywords of the last step of a model's training; a package's template has them itself."""
    *_, last = [{}, *lineage.of(lineage.read(model), "prepare").values()]
    return last.get("chat_template_kwargs", {})


def thinking_keywords(template: str, thinking: bool | None) -> dict[str, Any]:
    """What turns thinking on or off in a chat template; nothing for None.

    Raises `PromptError` if it has no such switch.
    """
    if thinking is None:
        return {}
    for name in SWITCHES:
        if not unknown_keywords(template, [name]):
            return {name: thinking}
    raise PromptError("the model's chat template has no switch for thinking; leave that out")
