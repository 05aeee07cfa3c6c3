"""Conversations as text by a tokenizer's chat template, the same on every day."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from finery.errors import UserError
from finery.models.jinja import refuse_unknown_keywords

Message = dict[str, Any]
"""`role` and `content`, as chat templates take them; perhaps `tool_calls`, `reasoning_content`."""
Tools = Sequence[dict[str, Any]]
TODAY = datetime(2024, 7, 26)
"""The day that templates are told it is: the one that Llama 3's falls back on without a clock."""

THOUGHTS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "<|START_THINKING|>": "<|END_THINKING|>",
}
"""What templates begin and end a thought with."""
BEGUN = re.compile(rf"({'|'.join(map(re.escape, THOUGHTS))})(\s*)\Z")
"""A prompt that ends in a thought."""


class ConversationError(UserError):
    """The chat template does not fit the conversation."""


class ConversationTemplate:
    """Renders conversations as `tokenizer.apply_chat_template` does, several times as fast."""

    error: type[ConversationError] = ConversationError
    """What is raised."""

    def __init__(
        self,
        tokenizer: Any,
        keywords: Mapping[str, Any] | None = None,
        shaped: Callable[[Message], Message] | None = None,
    ) -> None:
        """With the `keywords` that it is given each time, such as enable_thinking, and messages
        `shaped` for it, if they may have images.

        Raises `ChatTemplateError` for one that the template does not know.
        """
        if keywords:
            refuse_unknown_keywords(tokenizer.get_chat_template(), keywords)
        self._tokenizer = tokenizer
        self._compiled: dict[bool, Any] = {}
        self._given = tokenizer.special_tokens_map | {"strftime_now": TODAY.strftime}
        self._given |= keywords or {}
        self._shaped = shaped

    def render(
        self, messages: Sequence[Message], tools: Tools = (), add_generation_prompt: bool = False
    ) -> str:
        """A conversation as text. Raises `ConversationError` if the template refuses it."""
        from jinja2.exceptions import TemplateError as JinjaError

        template = self._template(bool(tools))
        plain = [_plain(message) for message in messages]
        if self._shaped:
            plain = [self._shaped(message) for message in plain]
        given = {
            "tools": list(tools) or None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **self._given,
        }
        try:
            try:
                return template.render(messages=plain, **given)
            except TypeError:  # some templates want the arguments of a call as JSON
                return template.render(messages=[_with_json(message) for message in plain], **given)
        except JinjaError as error:
            raise self.error(f"the chat template refuses it: {_line(error)}") from None
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise self.error(f"the chat template fails on it: {_line(error)}") from None

    def _template(self, with_tools: bool) -> Any:
        """Some models have a template of its own for conversations with tools."""
        from jinja2.exceptions import TemplateSyntaxError
        from transformers.utils.chat_template_utils import _compile_jinja_template

        if found := self._compiled.get(with_tools):
            return found
        text = self._tokenizer.get_chat_template(None, [{}] if with_tools else None)
        try:
            self._compiled[with_tools] = _compile_jinja_template(text)
        except TemplateSyntaxError as error:
            place = f"line {error.lineno}: {_line(error)}"
            raise self.error(f"the chat template is not Jinja: {place}") from None
        return self._compiled[with_tools]


def _plain(message: Message) -> Message:
    """As transformers hands messages over: what is None is not there, reasoning has two names."""
    if len(message) == 2 and message.get("content") is not None:
        return message
    plain = {key: value for key, value in message.items() if value is not None}
    if "reasoning_content" in plain:
        plain.setdefault("thinking", plain["reasoning_content"])
    return plain


def _with_json(message: Message) -> Message:
    if not message.get("tool_calls"):
        return message
    functions = [call["function"] for call in message["tool_calls"]]
    texts = [json.dumps(function["arguments"], ensure_ascii=False) for function in functions]
    return message | {
        "tool_calls": [
            call | {"function": call["function"] | {"arguments": text}}
            for call, text in zip(message["tool_calls"], texts, strict=True)
        ]
    }


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
