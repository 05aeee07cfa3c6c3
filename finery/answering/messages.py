"""Messages that come from outside: from a saved conversation, or a line of JSON."""

from typing import Any

from finery.answering.sight import IMAGES
from finery.errors import UserError
from finery.models.conversation import Message

ROLES = ("system", "user", "assistant", "tool")


class MessageError(UserError):
    """What should be a conversation is none."""


def checked_messages(messages: Any, where: str) -> list[Message]:
    """Messages as they came from outside. Raises `MessageError` with the one that is
    wrong.
    """
    if not isinstance(messages, list):
        raise MessageError(f"{where}: messages must be a list")
    for number, message in enumerate(messages, 1):
        place = f"{where}: message {number}"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise MessageError(f"{place}: must have a role, one of {', '.join(ROLES)}")
        images = message.get(IMAGES) or []
        if not isinstance(images, list) or not all(isinstance(each, str) for each in images):
            raise MessageError(f"{place}: images must be a list of paths")
        if not isinstance(message.get("content"), str) and not message.get("tool_calls"):
            raise MessageError(f"{place}: must have a content, a text")
    return list(messages)
