"""What templates do to thinking: written, left out, begun by the prompt, or an empty thought.

What the model has to write is what it is served to write. A thought that its prompt has begun goes
on from there, though the template drops it from the conversation (DeepSeek R1). An empty thought
that a template puts before an answer without any (Qwen 3) is none of the model's words.
"""

import re
from collections.abc import Sequence

from finery.data.formats.examples import Message
from finery.data.rendering.template import ChatTemplate, TemplateError, Tools
from finery.models.conversation import BEGUN, THOUGHTS

THINKING = re.compile("</?think>")
OPENS, CLOSES = (f"({'|'.join(map(re.escape, tags))})" for tags in (THOUGHTS, THOUGHTS.values()))
ENDED = re.compile(rf"{OPENS}\s*{CLOSES}\s*\Z")
"""A prompt that ends in an empty thought."""
EMPTY = re.compile(rf"\s*(?:{OPENS}\s*)?{CLOSES}\s*")
"""Such a thought, or the end of one that the prompt has begun."""
MARK = "\ue0f0thinks\ue0f1"


def thinks(message: Message) -> bool:
    """Whether a message says what it thinks, were it nothing, in its content or beside it."""
    beside = message.get("reasoning_content") or ""
    return bool(beside.strip() or THINKING.search(message.get("content") or ""))


def thoughts(message: Message) -> list[str]:
    """The thinking in a message's content, and that beside it."""
    words = THINKING.split(message.get("content") or "")[:-1]
    return [*words, message.get("reasoning_content") or ""]


def as_prompted(
    template: ChatTemplate, messages: Sequence[Message], tools: Tools, text: str, prompt: str
) -> tuple[str, int] | None:
    """The text with its last turn as the `prompt` for it begins, and where the words of that are.

    None if it does so by itself, or if it is not about a thought that the prompt has begun, or
    about an empty one. Raises `TemplateError` for a thought where the prompt says there is none.
    """
    begun, ended = BEGUN.search(prompt), ENDED.search(prompt)
    found = begun or ended
    if not found or text.startswith(prompt) or not text.startswith(prompt[: found.start()]):
        return None
    message = messages[-1]
    if not begun and thinks(message):
        raise TemplateError(
            "the chat template prompts for an answer without thinking, and the last turn has some;"
            " remove it, or change data.chat_template_kwargs"
        )
    before = before_words(template, messages, tools, len(messages) - 1)
    if not text.startswith(before):
        return None
    words = text[len(before) :]
    if THINKING.search(message.get("content") or ""):
        words = words.lstrip("\n")
        if THINKING.search(words):  # the template writes the content as it is
            if begun[1] != "<think>":
                return None
            return prompt + words.removeprefix("<think>").lstrip("\n"), len(prompt)
    if begun:
        prompt += _rest_of_thought(message, *begun.groups())
    return prompt + words, len(prompt)


def _rest_of_thought(message: Message, tag: str, space: str) -> str:
    """What the model thinks, and its end, as far from the words as the prompt's beginning is."""
    thought = "\n".join(filter(None, (each.strip("\n") for each in thoughts(message))))
    line = "\n" if space else ""
    return f"{thought}{line}{THOUGHTS[tag]}{line}{line}"


def without_empty_thought(text: str, prompt: str) -> int | None:
    """Where a turn begins whose prompt ends in an empty thought that `text` has left out.

    Templates leave it out of earlier turns. None if it is not about that.
    """
    ended = ENDED.search(prompt)
    if not ended or not text.startswith(prompt[: ended.start()]):
        return None
    return None if text.startswith(ended[1], ended.start()) else ended.start()


def has_empty_thought(text: str, start: int) -> bool:
    """Whether a turn seems to begin with an empty thought, or the end of one."""
    return bool(EMPTY.match(text, start))


def after_empty_thought(text: str, start: int, words: int) -> int:
    """Where a turn goes on behind the empty thought that it begins with before its words."""
    found = EMPTY.match(text, start, words)
    return found.end() if found else start


def before_words(
    template: ChatTemplate, messages: Sequence[Message], tools: Tools, index: int
) -> str:
    """The text up to the words of a turn without its thinking: what the template writes there."""
    marked = {key: value for key, value in messages[index].items() if key != "reasoning_content"}
    chat = [*messages[:index], marked | {"content": MARK}, *messages[index + 1 :]]
    return template.render(chat, tools).partition(MARK)[0]


def loses_thinking(text: str, messages: Sequence[Message]) -> bool:
    """Whether thinking that a conversation has is nowhere in its text."""
    return any(
        thought.strip() not in text
        for message in messages
        if message["role"] == "assistant"
        for thought in thoughts(message)
    )


def writes_thinking(template: ChatTemplate) -> bool:
    """Whether there is a place for the thinking of a last answer that is not among its words."""
    chat = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "!", "reasoning_content": MARK},
    ]
    try:
        prompt = template.render(chat[:1], add_generation_prompt=True)
        return MARK in template.render(chat) or bool(BEGUN.search(prompt))
    except TemplateError:
        return True  # what it writes is looked for in each conversation
