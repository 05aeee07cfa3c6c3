"""Words of a dataset that read as one of the tokenizer's control tokens."""

import json
import re
from collections.abc import Sequence
from typing import Any

from finery.data.formats.examples import Message
from finery.data.rendering.template import TemplateError


class ControlTokenError(TemplateError):
    """Words that read as a control token would become one, and end the turn early."""


class ControlTokens:
    """The control tokens of a tokenizer; `pattern` finds one in a text, as its first group."""

    def __init__(self, tokenizer: Any) -> None:
        added = [
            token.content for token in tokenizer.added_tokens_decoder.values() if token.special
        ]
        longest_first = sorted({*added, *tokenizer.all_special_tokens}, key=len, reverse=True)
        self.pattern = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")
        self._begins = {token[0] for token in longest_first}

    def refuse(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> None:
        """Raises `ControlTokenError` if there is one in what is said."""
        for message in messages:
            words = message["content"] if len(message) == 2 else _json(message)
            self.refuse_in(message["role"], words)
        if tools:
            self.refuse_in("tools", _json(tools))

    def refuse_in(self, speaker: str, words: str) -> None:
        # Looking for a character is many times as fast as looking for one of many words.
        for character in self._begins:
            if character in words:
                break
        else:
            return
        if found := self.pattern.search(words):
            raise ControlTokenError(f"{speaker}: contains the control token {found[0]}; remove it")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
