"""Messages that come from outside: from a saved conversation, or a line of JSON."""

from typing import Any

from finery.answering.sight import IMAGES
from finery.errors import UserError
from finery.models.conversation import Message

ROLES = ("system", "user", "assistant", "tool")


class MessageError(UserError):
    """What should be a conversation is none."""


def checked_messages(messages: Any, where: str) -> list[Message]:
    """Messages as they came from outside. Raises `MessageError` with the one that is wrong."""
    if not isinstance(messages, list):
        raise MessageError(f"{where}: messages must be a list")
    for number, message in enumerate(messages, 1):
        place = f"{where}: message {number}"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise MessageError(f"{place}: must have a role, one of {', '.join(ROLES)}")
        images = message.get(IMAGES) or []
        if not isinstance(images, list) or not all(isinstance(each, str) for each in images):
            raise MessageError(f"{place}: images must be a list of paths")
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list) or not all(map(_is_call, calls)):
            raise MessageError(
                f"{place}: tool_calls must be a list of functions, each with name and arguments"
            )
        if not isinstance(message.get("content"), str) and not calls:
            raise MessageError(f"{place}: must have a content, a text")
    return list(messages)


def _is_call(call: Any) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    return isinstance(function, dict) and {"name", "arguments"} <= function.keys()
