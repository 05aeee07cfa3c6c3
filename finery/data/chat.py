"""Conversations as tokens: the model's own chat template, and a mask of what the loss counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finery.data.alpaca import Example, Message
from finery.data.errors import DataError

IGNORED = -100
Span = tuple[int, int]


class TemplateError(DataError):
    """The chat template does not fit the conversation."""


@dataclass(frozen=True)
class Sample:
    """A tokenized conversation; `labels` is `input_ids` where the loss counts, -100 elsewhere."""

    input_ids: list[int]
    labels: list[int]
    cut: bool

    @property
    def trained_tokens(self) -> int:
        return sum(label != IGNORED for label in self.labels)


def tokenize(tokenizer: Any, example: Example, cutoff_len: int) -> Sample:
    """Render with the tokenizer's chat template; the loss counts the assistant's turns only.

    A turn is the answer and its end-of-turn token. Samples longer than `cutoff_len` tokens lose
    their end. Raises `TemplateError` naming the row if the template reorders or drops turns.
    """
    try:
        _refuse_control_tokens(tokenizer, example.messages)
        text, spans = render(tokenizer, example.messages)
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        mask = assistant_mask(spans, encoded["offset_mapping"])
    except TemplateError as error:
        raise TemplateError(f"{example.dataset}: row {example.row}: {error}") from None
    ids = encoded["input_ids"]
    labels = [token if counted else IGNORED for token, counted in zip(ids, mask, strict=True)]
    return Sample(ids[:cutoff_len], labels[:cutoff_len], cut=len(ids) > cutoff_len)


def _refuse_control_tokens(tokenizer: Any, messages: Sequence[Message]) -> None:
    """Words of a dataset that read as a control token would become one, and end the turn early."""
    for message in messages:
        for token in tokenizer.all_special_tokens:
            if token in message["content"]:
                raise TemplateError(
                    f"{message['role']}: contains the control token {token}; remove it"
                )


def render_prompt(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The text that asks the model for its next turn."""
    return _apply(tokenizer, messages, add_generation_prompt=True)


def render(tokenizer: Any, messages: Sequence[Message]) -> tuple[str, list[Span]]:
    """The whole conversation as text, and the character ranges of the assistant's turns.

    A turn begins where the generation prompt ends and includes its end-of-turn token, without
    the white space after it. Raises `TemplateError` if a shorter conversation is not a prefix.
    """
    text = _apply(tokenizer, messages)
    spans = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt = render_prompt(tokenizer, messages[:index])
        turn = _apply(tokenizer, messages[: index + 1])
        if not turn.startswith(prompt) or not text.startswith(turn):
            raise TemplateError(
                "the chat template changes earlier turns of a conversation;"
                " use one turn a row, or another model.chat_template"
            )
        if message["content"].strip() not in turn[len(prompt) :]:
            raise TemplateError("the chat template leaves out the assistant's words")
        spans.append((len(prompt), len(turn.rstrip())))
    return text, spans


def assistant_mask(spans: Sequence[Span], offsets: Sequence[Span]) -> list[bool]:
    """Mark the tokens that the loss counts.

    `spans` are the character ranges of the assistant's turns, `offsets` the tokenizer's
    character range for each token; a token counts if it starts inside a turn.
    Returns one flag per token. Raises `TemplateError` if a turn covers no token.
    """
    mask = [any(start <= token[0] < end for start, end in spans) for token in offsets]
    for start, end in spans:
        if not any(start <= token[0] < end for token in offsets):
            raise TemplateError("an assistant's turn has no token")
    return mask


def _apply(tokenizer: Any, messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
    from jinja2.exceptions import TemplateError as JinjaError

    try:
        return tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except JinjaError as error:
        raise TemplateError(f"the chat template refuses it: {error}") from None
