"""Words of a conversation that a chat template leaves out, or moves."""

import json
import re
from collections.abc import Sequence

from finery.data.examples import Message
from finery.data.template import TemplateError

THINKING = re.compile("</?think>")


def refuse_lost_words(message: Message, turn: str, last: bool) -> None:
    """Templates may drop the thinking of earlier turns; nothing else, and not that of the last."""
    *thoughts, words = THINKING.split(message.get("content") or "")
    if words.strip() not in turn:
        raise TemplateError("the chat template leaves out the assistant's words")
    thoughts.append(message.get("reasoning_content") or "")
    if last and any(thought.strip() not in turn for thought in thoughts):
        raise TemplateError(
            "the chat template leaves out the thinking of the last turn; remove it, or use"
            " another model.chat_template"
        )


def refuse_lost_turns(text: str, messages: Sequence[Message]) -> None:
    """What is said to the model must be there, in its order; a system prompt wherever it is put."""
    position = 0
    for number, message in enumerate(messages, 1):
        if message["role"] == "assistant":
            continue
        words = (message.get("content") or "").strip()
        escaped = json.dumps(words, ensure_ascii=False)[1:-1]
        since = 0 if message["role"] == "system" else position
        found = max(text.find(words, since), text.find(escaped, since))
        if found < 0:
            raise TemplateError(f"the chat template leaves out turn {number} ({message['role']})")
        position = found if message["role"] != "system" else position
