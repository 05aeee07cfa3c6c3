"""A tokenizer's chat template, for what datasets hold."""

from finery.data.errors import DataError
from finery.data.rendering.verbatim import prints_words_only
from finery.models.conversation import ConversationError, ConversationTemplate
from finery.models.conversation import Tools as Tools


class TemplateError(DataError, ConversationError):
    """The chat template does not fit the conversation."""


class ChatTemplate(ConversationTemplate):
    """Renders the conversations of datasets."""

    error = TemplateError

    def prints_words_only(self) -> bool:
        """Whether all it does with the words of a conversation is to print them, or them trimmed.

        That is of conversations without tools, whose messages are a role and words.
        """
        if self._shaped:
            return False  # they are made parts, which is what templates decide by
        environment = self._template(False).environment
        return prints_words_only(environment.parse(self._tokenizer.get_chat_template()))
