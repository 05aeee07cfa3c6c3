"""Where images stand in a conversation, as a chat template wants them."""

from typing import Any

from finery.models.conversation import ConversationError, Message

HERE = "\ue0f2image\ue0f3"
"""In a message's words, in the place of an image, until it is shaped: it is no word itself."""
MARK = "\ue0f0words\ue0f1"


class ImagePlaces:
    """Puts images into messages; `token` is the one that stands for an image in a text."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._in_parts = True
        self._breaks = False

    def suit(self, render: Any) -> None:
        """Find out how a chat template takes images: `render` makes a text of messages.

        As parts of a content, or else the token itself in the words; and whether it puts a line
        break behind each by itself.
        """
        probe = [{"role": "user", "content": f"{HERE}{MARK}"}]
        try:
            text = render(probe)
        except ConversationError:
            text = ""
        self._in_parts = self.token in text and MARK in text and "{'type'" not in text
        if self._in_parts:
            between = text[text.index(self.token) : text.index(MARK)]
            self._breaks = between.endswith("\n")

    def shaped(self, message: Message) -> Message:
        """A message as the chat template takes it."""
        words = message.get("content")
        if words is None:
            return message
        if not self._in_parts:
            return message | {"content": words.replace(HERE, self.token)}
        first, *rest = words.split(HERE)
        parts = [{"type": "text", "text": first}] if first or not rest else []
        for text in rest:
            text = text.removeprefix("\n") if self._breaks else text
            parts.append({"type": "image"})
            parts += [{"type": "text", "text": text}] if text else []
        return message | {"content": parts}
