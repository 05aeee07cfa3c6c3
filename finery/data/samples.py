"""Samples: tokens, which of them the loss counts, and no more of them than fit."""

from dataclasses import dataclass, replace

import numpy as np

from finery.data.encoding import Encoded
from finery.data.template import TemplateError

IGNORED = -100
BLANK = np.full(4096, IGNORED, np.int32)


@dataclass(slots=True)  # not frozen: made by the million, and twice as quickly
class Sample:
    """Tokens to train on: int32 arrays; `labels` is `input_ids` where the loss counts, else -100.

    - `cut`: tokens that count were lost to the cut-off; if none is left, the sample is empty
    - `rejected`: of a preference, the same prompt with the other answer
    - `desirable`: of KTO, the verdict
    - `more`: the further pieces of a text that is longer than a packed sample
    """

    input_ids: np.ndarray
    labels: np.ndarray
    cut: bool = False
    rejected: "Sample | None" = None
    desirable: bool | None = None
    more: tuple["Sample", ...] = ()

    @property
    def trained_tokens(self) -> int:
        return int(np.count_nonzero(self.labels != IGNORED))

    def emptied(self) -> "Sample":
        """No token left: nothing to train on fits."""
        return replace(self, input_ids=self.input_ids[:0], labels=self.labels[:0])


def chat_sample(encoded: Encoded, limit: int | None, train_on_prompt: bool) -> Sample:
    """A conversation's tokens; those count that start inside a turn.

    `encoded.at` are the tokens where the turns start and end, by turns. A sample longer than
    `limit` loses its end: what is left ends within a turn or with one, never in a prompt whose
    answer was cut off. Raises `TemplateError` if a turn covers no token.
    """
    ids, at, cut = encoded.ids, encoded.at, False
    turns = list(zip(at[::2], at[1::2], strict=True))
    size = len(ids)
    if limit is not None and size > limit:
        size = max((min(end, limit) for start, end in turns if start < limit), default=0)
        cut = size < at[-1]
        ids = ids[:size]
    labels = _after_the_first(ids) if train_on_prompt else _blank(size)
    for start, end in turns:
        if start >= end:
            raise TemplateError("an assistant's turn has no token")
        if not train_on_prompt:
            labels[start:end] = ids[start:end]
    return Sample(ids, labels, cut)


def _blank(size: int) -> np.ndarray:
    """Labels of which none counts; a copy is made in half the time that numpy.full takes."""
    return BLANK[:size].copy() if size <= len(BLANK) else np.full(size, IGNORED, np.int32)


def text_sample(encoded: Encoded, limit: int | None, in_pieces: bool) -> Sample:
    """A text's tokens, all counted; what is longer than `limit` is cut, or cut into pieces."""
    ids, size = encoded.ids, len(encoded.ids) if limit is None else limit
    pieces = [ids[start : start + size] for start in range(0, len(ids), size)]
    first, *more = [Sample(piece, _after_the_first(piece)) for piece in pieces]
    if in_pieces:
        return replace(first, more=tuple(piece for piece in more if piece.trained_tokens))
    return replace(first, cut=bool(more))


def _after_the_first(ids: np.ndarray) -> np.ndarray:
    """The first token has nothing before it to be predicted from."""
    labels = ids.copy()
    labels[:1] = IGNORED
    return labels
