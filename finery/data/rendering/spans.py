"""Where the assistant's turns are in a rendered conversation, for any chat template.

A turn begins where the generation prompt ends, which is where the model begins to write when it
is served, and ends with the template's end-of-turn token. Templates say neither; both are found
by rendering parts of the conversation, some with a mark in them, and proven in the whole text.
"""

import json
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from finery.data.formats.examples import Message
from finery.data.rendering.template import ChatTemplate, TemplateError, Tools
from finery.data.rendering.thinking import (
    THINKING,
    after_empty_thought,
    as_prompted,
    before_words,
    has_empty_thought,
    thinks,
    thoughts,
    without_empty_thought,
)
from finery.models.image_places import HERE

MARK = "\ue0f0end\ue0f1"
Span = tuple[int, int]
CHANGED = (
    "the chat template changes earlier turns of a conversation; use one turn a row,"
    " data.mask_history: true, or another model.chat_template"
)


class Turns(NamedTuple):
    """A conversation as text, the character ranges of its turns; `empty`: before the words of one
    there is an empty thought that does not count."""

    text: str
    spans: list[Span]
    empty: bool


def turns(
    template: ChatTemplate,
    messages: Sequence[Message],
    tools: Tools,
    counted: Sequence[int],
    end_of_turn: str,
    count_empty: bool = False,
) -> Turns:
    """The conversation as text, and the character ranges of the turns `counted` (indices).

    An empty thought that the template puts before an answer does not count, unless `count_empty`.
    Raises `TemplateError` if the template drops or moves what the conversation says, or if a
    turn does not begin as its prompt ends.
    """
    text = template.render(messages, tools)
    if tools and text == template.render(messages):
        raise TemplateError(
            "the chat template has no place for tools; remove them, or set model.chat_template,"
            " where <|im_end|> is a token of the model to templates/chatml_tools.jinja"
        )
    spans, empty = [], False
    for index in counted:
        message, last = messages[index], index == len(messages) - 1
        prompt = template.render(messages[:index], tools, add_generation_prompt=True)
        prompted = as_prompted(template, messages, tools, text, prompt) if last else None
        whole, words = prompted or (text, None)
        start = _start(template, messages, tools, index, whole, prompt)
        end = _end(template, messages, tools, index, text, end_of_turn) + len(whole) - len(text)
        text = whole
        if not count_empty and not thinks(message) and has_empty_thought(text, start):
            if words is None:
                words = _in_common(before_words(template, messages, tools, index), text)
            begin = after_empty_thought(text, start, words)
            start, empty = begin, empty or begin > start
        refuse_lost_words(message, text[start:end], last)
        spans.append((start, end))
    refuse_lost_turns(text, messages)
    return Turns(text, spans, empty)


def end_of_turn(template: ChatTemplate, control: re.Pattern[str]) -> str:
    """The control tokens that end each turn; "" if there are none, or others at the very end."""
    said = ("?", "!" + MARK, "?", "!")
    roles = ("user", "assistant") * 2
    chat = [{"role": role, "content": words} for role, words in zip(roles, said, strict=True)]
    try:
        tails = [_parted(template.render(part))[1] for part in (chat, chat[:2])]
    except TemplateError:
        return ""
    pairs = zip(*(control.split(tail) for tail in tails), strict=False)
    return "".join(piece for piece, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)).rstrip()


def leaves_open(template: ChatTemplate) -> bool:
    """Whether nothing at all ends the last turn of a conversation."""
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": MARK}]
    try:
        return not _parted(template.render(chat))[1].strip()
    except TemplateError:
        return False


def _start(
    template: ChatTemplate,
    messages: Sequence[Message],
    tools: Tools,
    index: int,
    text: str,
    prompt: str,
) -> int:
    if text.startswith(prompt):
        return len(prompt)
    if not text.startswith(template.render(messages[:index], tools).rstrip()):
        raise TemplateError(CHANGED)
    if (start := without_empty_thought(text, prompt)) is not None:
        return start
    opening = prompt[_in_common(prompt, text) :]
    last = "" if index == len(messages) - 1 else " data.mask_history: true or"
    raise TemplateError(
        f"the chat template prompts for turn {index + 1} with {opening!r} and writes it without;"
        f" use{last} another model.chat_template"
    )


def _end(
    template: ChatTemplate,
    messages: Sequence[Message],
    tools: Tools,
    index: int,
    text: str,
    end_of_turn: str,
) -> int:
    """Where in `text` that ends which follows the words when the turn is the last one."""
    mark = _unused_mark(text)
    marked = [*messages[:index], _marked(messages[index], mark), *messages[index + 1 :]]
    words, rest = _parted(template.render(marked, tools), mark)
    if words + rest != text:  # the white space before the mark, if the template trims
        words = words.rstrip()
    if words + rest != text:
        raise TemplateError("the chat template changes the assistant's words")
    _, tail = _parted(template.render(marked[: index + 1], tools), mark)
    if end_of_turn and end_of_turn in tail:
        tail = tail[: tail.index(end_of_turn)] + end_of_turn
    if not rest.startswith(tail.rstrip()):
        raise TemplateError(CHANGED)
    return len(words) + len(tail.rstrip())


def _in_common(text: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False))
    return sum(1 for _ in same)


def _unused_mark(text: str) -> str:
    mark = MARK
    while mark in text:
        mark += MARK[-1]
    return mark


def _marked(message: Message, mark: str) -> Message:
    """A turn with a mark behind its words; behind the name of what it calls last, if it does."""
    calls = message.get("tool_calls")
    if not calls:
        return message | {"content": (message.get("content") or "") + mark}
    last = calls[-1]
    function = last["function"] | {"name": last["function"]["name"] + mark}
    return message | {"tool_calls": [*calls[:-1], last | {"function": function}]}


def _parted(text: str, mark: str = MARK) -> tuple[str, str]:
    before, found, after = text.partition(mark)
    if not found:
        raise TemplateError("the chat template leaves out the assistant's words")
    return before, after.replace(mark, "")  # the name of a tool may come back with its result


def refuse_lost_words(message: Message, turn: str, last: bool) -> None:
    """Templates may drop the thinking of earlier turns; nothing else, and not that of the last."""
    words = THINKING.split(message.get("content") or "")[-1]
    if words.strip() not in turn:
        raise TemplateError("the chat template leaves out the assistant's words")
    if last and any(thought.strip() not in turn for thought in thoughts(message)):
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
        for words in (message.get("content") or "").split(HERE):
            words = words.strip()
            escaped = json.dumps(words, ensure_ascii=False)[1:-1]
            since = 0 if message["role"] == "system" else position
            found = max(text.find(words, since), text.find(escaped, since))
            if found < 0:
                role = message["role"]
                raise TemplateError(f"the chat template leaves out turn {number} ({role})")
            position = found if message["role"] != "system" else position
