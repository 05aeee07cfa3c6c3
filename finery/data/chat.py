"""Examples as samples: tokens by the model's own chat template, and what the loss counts."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from finery.data.control_tokens import ControlTokenError
from finery.data.encoding import Encoded, Encoder
from finery.data.examples import Example
from finery.data.rendering import Rendering
from finery.data.samples import Sample, chat_sample, text_sample
from finery.data.spans import Span
from finery.data.template import TemplateError

Rendered = tuple[str, list[Span]]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row cannot be a sample; `kind` is control-token or template, `field` "" for the row."""

    row: int
    field: str
    kind: str
    problem: str


class Renderer:
    """Makes samples of examples, many at once; one a process.

    `cutoff_len` is the longest sample in tokens, None for no limit. `mask_history` counts the last
    turn only, `train_on_prompt` every token; `packing` keeps long texts, in pieces. Raises
    `TemplateError` if the chat template is not Jinja.
    """

    def __init__(
        self,
        tokenizer: Any,
        cutoff_len: int | None = None,
        mask_history: bool = False,
        train_on_prompt: bool = False,
        packing: bool = False,
    ) -> None:
        self._cutoff_len = cutoff_len
        self._mask_history = mask_history
        self._train_on_prompt = train_on_prompt
        self._packing = packing
        self._rendering = Rendering(tokenizer)
        self._encoder = Encoder(tokenizer)
        self._text_ends = _text_ends(tokenizer)

    def whole(self) -> "Renderer":
        """The same for what is asked, not trained on: nothing is cut, only answers count."""
        whole = copy(self)
        whole._cutoff_len, whole._train_on_prompt, whole._packing = None, False, False
        return whole

    def encode(self, examples: Sequence[Example]) -> list[Sample | Problem]:
        """One result for each example, in their order; see `Sample` for those of each kind."""
        return self.begin(examples)()

    def begin(self, examples: Sequence[Example]) -> Callable[[], list[Sample | Problem]]:
        """Render, and begin to tokenize; the result ends it. Others can be begun meanwhile."""
        rendered = [_tried(self._rendered, example) for example in examples]
        texts = [both for each in rendered if isinstance(each, list) for both in each]
        positions = [[*chain.from_iterable(spans)] for _, spans in texts]
        encoded = self._encoder.begin([text for text, _ in texts], positions)

        def end() -> list[Sample | Problem]:
            tokens = iter(encoded())
            return [
                _tried(self._sample, example, [next(tokens) for _ in each])
                if isinstance(each, list)
                else each
                for example, each in zip(examples, rendered, strict=True)
            ]

        return end

    def prompts(self, examples: Sequence[Example]) -> list[np.ndarray]:
        """The tokens that ask the model for the last turn of each example.

        Raises `TemplateError` for an example that `encode` has a `Problem` with.
        """
        texts = [
            self._rendering.template.render(
                example.messages[:-1], example.tools, add_generation_prompt=True
            )
            for example in examples
        ]
        return [encoded.ids for encoded in self._encoder(texts, [()] * len(texts))]

    def _rendered(self, example: Example) -> list[Rendered]:
        """The texts of an example: one, or of a preference two."""
        if example.text is not None:
            before, after = self._text_ends
            self._rendering.control.refuse_in("text", example.text)
            return [(before + example.text + after, [])]
        chosen, rejected = example.chosen, example.rejected
        answers = [[]] if chosen is None or rejected is None else [[chosen], [rejected]]
        last_only = self._mask_history or len(answers) > 1 or example.desirable is not None
        return [
            self._rendering.conversation([*example.messages, *answer], example.tools, last_only)
            for answer in answers
        ]

    def _sample(self, example: Example, encoded: list[Encoded]) -> Sample:
        if example.text is not None:
            return text_sample(encoded[0], self._cutoff_len, self._packing)
        on_prompt = self._train_on_prompt and len(encoded) == 1 and example.desirable is None
        first, *other = [chat_sample(each, self._cutoff_len, on_prompt) for each in encoded]
        if not other and example.desirable is None:
            return first
        return replace(
            first if all(each.trained_tokens for each in other) else first.emptied(),
            rejected=other[0] if other else None,
            desirable=example.desirable,
            cut=first.cut or any(each.cut for each in other),
        )


def _tried(make: Any, example: Example, *given: Any) -> Any:
    """What `make` makes of an example, or the `Problem` with it."""
    try:
        return make(example, *given)
    except ControlTokenError as error:
        return Problem(example.row, "", "control-token", str(error))
    except TemplateError as error:
        return Problem(example.row, "", "template", str(error))


def _text_ends(tokenizer: Any) -> tuple[str, str]:
    """What goes before a text, a first token if the tokenizer adds one by itself, and after it."""
    begun = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    return tokenizer.bos_token if begun else "", tokenizer.eos_token or ""
