"""Examples as samples: tokens by the model's own chat template, and what the loss counts."""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from finery.data.formats.examples import Example, Message
from finery.data.rendering.control_tokens import ControlTokenError
from finery.data.rendering.encoding import Encoder, Text, marked
from finery.data.rendering.images import ImageTokens
from finery.data.rendering.rendered import Rendering, WeightError
from finery.data.rendering.samples import Sample, chat_samples, text_sample
from finery.data.rendering.template import TemplateError
from finery.data.rendering.thinking import thinks
from finery.models.pictures import Pictures
from finery.params.data import SharedDataParams

SETTING = re.compile(r"\bdata\.(mask_history|train_on_prompt)\b")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row cannot be a sample; `field` is "" for the whole row.

    `kind` is control-token, weight or template.
    """

    row: int
    field: str
    kind: str
    problem: str


class Renderer:
    """Makes samples of examples, many at once; one a process.

    `cutoff_len` is the longest sample in tokens, None for no limit. `mask_history` counts the last
    turn only, `train_on_prompt` every token; `packing` keeps long texts, in pieces;
    `keywords` go to the chat template. `key` says where params.yaml has a setting: a step of the
    training may have its own. Raises `TemplateError` if that is not Jinja, and
    `ChatTemplateError` if it does not know one of them.
    """

    def __init__(
        self,
        tokenizer: Any,
        cutoff_len: int | None = None,
        mask_history: bool = False,
        train_on_prompt: bool = False,
        packing: bool = False,
        keywords: Mapping[str, Any] | None = None,
        key: Callable[[str], str] = "data.{}".format,
        pictures: Pictures | None = None,
    ) -> None:
        self._cutoff_len = cutoff_len
        self._mask_history = mask_history
        self._train_on_prompt = train_on_prompt
        self._packing = packing
        self._key = key
        self._images = ImageTokens(pictures) if pictures else None
        self._rendering = Rendering(tokenizer, keywords, self._images)
        self._encoder = Encoder(tokenizer)
        self._text_ends = _text_ends(tokenizer)

    @classmethod
    def by(
        cls, params: SharedDataParams, tokenizer: Any, pictures: Pictures | None = None
    ) -> "Renderer":
        """The renderer that the settings ask for; with `pictures`, of a model that sees them."""
        return cls(
            tokenizer,
            params.cutoff_len,
            params.mask_history,
            params.train_on_prompt,
            params.packing,
            params.chat_template_kwargs,
            params.key,
            pictures,
        )

    @property
    def sees(self) -> bool:
        """Whether samples may have images."""
        return self._images is not None

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
        rendered = [self._tried(example) for example in examples]
        encoded = self._encoder.begin([text for each in rendered for text in each[0]])

        def end() -> list[Sample | Problem]:
            tokens, ends = encoded(), None
            if self._images:
                whose = [e for e, (texts, _) in zip(examples, rendered, strict=True) for _ in texts]
                tokens, ends = self._images.grown(tokens, whose)
            samples = chat_samples(tokens, self._cutoff_len)
            made: list[Sample | Problem] = []
            done = 0
            for example, (texts, problem) in zip(examples, rendered, strict=True):
                if problem is None and example.text is not None:
                    ids = tokens.text(done)
                    made.append(text_sample(ids, self._cutoff_len, self._packing))
                else:
                    mine = samples[done : done + len(texts)]
                    made.append(problem or self._sample(example, mine))
                    if example.images and isinstance(made[-1], Sample):
                        at, ids = ends[done], tokens.text(done)
                        flags = self._images.uncounted(ids, at, example)
                        made[-1] = made[-1].seeing(at, flags)
                    if isinstance(made[-1], Sample):
                        for text in texts:
                            made[-1].noted += text.noted
                done += len(texts)
            return made

        return end

    def prompts(self, examples: Sequence[Example]) -> list[np.ndarray]:
        """The tokens that ask the model for the last turn of each example.

        Raises `TemplateError` for an example that `encode` has a `Problem` with.
        """
        texts = [
            self._rendering.template.render(
                self._marked(example.messages[:-1]), example.tools, add_generation_prompt=True
            )
            for example in examples
        ]
        encoded = self._encoder([marked(text, ()) for text in texts])
        if self._images:
            encoded, _ = self._images.grown(encoded, examples)
        return [encoded.text(index) for index in range(len(texts))]

    def _marked(self, messages: Sequence[Message]) -> Sequence[Message]:
        return self._images.marked(messages) if self._images else messages

    def _tried(self, example: Example) -> tuple[list[Text], Problem | None]:
        try:
            return self._rendered(example), None
        except TemplateError as error:
            return [], self._problem(example, error)

    def _rendered(self, example: Example) -> list[Text]:
        """The texts of an example, with their turns: one, or of a preference two."""
        chosen, rejected, rendering = example.chosen, example.rejected, self._rendering
        if example.text is not None:
            before, after = self._text_ends
            rendering.control.refuse_in("text", example.text)
            return [marked(before + example.text + after, ())]
        if chosen is None or rejected is None:
            last_only = self._mask_history or example.desirable is not None
            if example.uncounted and example.desirable is None and self._train_on_prompt:
                raise WeightError(
                    "an answer has the weight 0, and data.train_on_prompt counts every token;"
                    " remove the row, or set data.train_on_prompt to false"
                )
            said = self._marked(example.messages)
            found = rendering.conversation(said, example.tools, last_only, example.uncounted)
            if self._images:
                self._images.refuse_lost(found.text, example)
            return [found]
        # Of two answers of which one thinks, the other has to write that it does not.
        whole = thinks(chosen) or thinks(rejected)
        return [
            rendering.conversation((*example.messages, one), example.tools, True, count_empty=whole)
            for one in (chosen, rejected)
        ]

    def _sample(
        self, example: Example, encoded: Sequence[Sample | TemplateError]
    ) -> Sample | Problem:
        """One sample of the conversations that an example is."""
        for each in encoded:
            if isinstance(each, TemplateError):
                return self._problem(example, each)
        first, *other = encoded
        if example.desirable is None and not other:
            return first.with_prompt() if self._train_on_prompt else first
        return replace(
            first if all(each.trained_tokens for each in other) else first.emptied(),
            rejected=other[0] if other else None,
            desirable=example.desirable,
            cut=first.cut or any(each.cut for each in other),
        )

    def _problem(self, example: Example, error: TemplateError) -> Problem:
        """An error, which names the settings as `data` has them, as a problem of a row."""
        kinds = {ControlTokenError: "control-token", WeightError: "weight"}
        said = SETTING.sub(lambda found: self._key(found[1]), str(error))
        return Problem(example.row, "", kinds.get(type(error), "template"), said)


def _text_ends(tokenizer: Any) -> tuple[str, str]:
    """What goes before a text, a first token if the tokenizer adds one by itself, and after it."""
    begun = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    return tokenizer.bos_token if begun else "", tokenizer.eos_token or ""
