"""Where the assistant's turns are in a rendered conversation, for any chat template.

A turn begins where the generation prompt ends, which is where the model begins to write when it
is served, and ends with its end-of-turn token, without the white space after that. Templates say
neither; both are found by rendering parts of the conversation, and proven in the whole text.
"""

import json
from collections.abc import Sequence
from typing import Any

from finery.data.examples import Message
from finery.data.template import ChatTemplate, TemplateError

MARK = "\ue0f0end\ue0f1"
Span = tuple[int, int]
Tools = Sequence[dict[str, Any]]
CHANGED = (
    "the chat template changes earlier turns of a conversation; use one turn a row,"
    " data.mask_history: true, or another model.chat_template"
)


def turns(
    template: ChatTemplate, messages: Sequence[Message], tools: Tools, counted: Sequence[int]
) -> tuple[str, list[Span]]:
    """The conversation as text, and the character ranges of the turns `counted` (indices).

    Raises `TemplateError` if the template drops or moves what the conversation says, or if a
    turn does not begin as its prompt ends.
    """
    text = template.render(messages, tools)
    if tools and text == template.render(messages):
        raise TemplateError(
            "the chat template has no place for tools; remove them, or use another"
            " model.chat_template"
        )
    spans = [
        (
            _start(template, messages[:index], tools, text),
            _end(template, messages, tools, index, text),
        )
        for index in counted
    ]
    _refuse_losses(text, messages, spans)
    return text, spans


def _start(template: ChatTemplate, context: Sequence[Message], tools: Tools, text: str) -> int:
    prompt = template.render(context, tools, add_generation_prompt=True)
    if text.startswith(prompt):
        return len(prompt)
    if text.startswith(template.render(context, tools)):
        raise TemplateError(
            "the chat template prompts for a turn in another way than it writes one (a thinking"
            " block?); use another model.chat_template"
        )
    raise TemplateError(CHANGED)


def _end(
    template: ChatTemplate, messages: Sequence[Message], tools: Tools, index: int, text: str
) -> int:
    """Where what follows the words in the last turn of a conversation, follows them in this one."""
    marked = [*messages[:index], _marked(messages[index]), *messages[index + 1 :]]
    words, rest = _parted(template.render(marked, tools))
    if words + rest != text:  # the white space before the mark, if the template trims
        words = words.rstrip()
    if words + rest != text:
        raise TemplateError("the chat template changes the assistant's words")
    _, tail = _parted(template.render(marked[: index + 1], tools))
    if not rest.startswith(tail.rstrip()):
        raise TemplateError(CHANGED)
    return len(words) + len(tail.rstrip())


def _marked(message: Message) -> Message:
    """A turn with a mark behind its words; behind the name of what it calls last, if it does."""
    calls = message.get("tool_calls")
    if not calls:
        return message | {"content": message["content"] + MARK}
    last = calls[-1]
    function = last["function"] | {"name": last["function"]["name"] + MARK}
    return message | {"tool_calls": [*calls[:-1], last | {"function": function}]}


def _parted(text: str) -> tuple[str, str]:
    if text.count(MARK) != 1:
        raise TemplateError("the chat template leaves out the assistant's words")
    before, _, after = text.partition(MARK)
    return before, after


def _refuse_losses(text: str, messages: Sequence[Message], spans: Sequence[Span]) -> None:
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
        position = max(position, found) if message["role"] != "system" else position
    reasoning = (messages[-1].get("reasoning_content") or "").strip()
    if spans and reasoning not in text[slice(*spans[-1])]:
        raise TemplateError("the chat template leaves out the reasoning of the last turn")
