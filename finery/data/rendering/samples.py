"""Samples: tokens, which of them the loss counts, and no more of them than fit."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from finery.data.rendering.encoding import Encoded
from finery.data.rendering.template import TemplateError

IGNORED = -100


@dataclass(slots=True)  # not frozen: made by the million, and twice as quickly
class Sample:
    """Tokens to train on: int32 arrays; `labels` is `input_ids` where the loss counts, else -100.

    - `cut`: tokens that count were lost to the cut-off; if none is left, the sample is empty
    - `rejected`: of a preference, the same prompt with the other answer
    - `desirable`: of KTO, the verdict
    - `more`: the further pieces of a text that is longer than a packed sample
    - `noted`: what is to be said of how it was rendered, by names of `finery.data.formats.unread`
    """

    input_ids: np.ndarray
    labels: np.ndarray
    cut: bool = False
    rejected: "Sample | None" = None
    desirable: bool | None = None
    more: tuple["Sample", ...] = ()
    noted: tuple[str, ...] = ()
    images: int = 0
    """How many of the row's images are left, its first."""

    @property
    def trained_tokens(self) -> int:
        return int(np.count_nonzero(self.labels != IGNORED))

    def emptied(self) -> "Sample":
        """No token left: nothing to train on fits."""
        return replace(self, input_ids=self.input_ids[:0], labels=self.labels[:0])

    def seeing(self, ends: np.ndarray, of_images: np.ndarray) -> "Sample":
        """The same without learning what is `of_images` (a flag for each token that it had).

        `ends` are where the row's images end: what is cut off has the last of them.
        """
        ids, flags = self.input_ids, of_images[: len(self.input_ids)]
        labels = np.where(flags, np.int32(IGNORED), self.labels)
        return replace(self, labels=labels, images=int(np.count_nonzero(ends <= len(ids))))

    def with_prompt(self) -> "Sample":
        """The same with every token counting that can be predicted."""
        return replace(self, labels=_after_the_first(self.input_ids))


def chat_samples(encoded: Encoded, limit: int | None) -> list[Sample | TemplateError]:
    """Each conversation's tokens; those count that start inside a turn.

    `encoded.at` are the tokens where the turns start and end, by turns. A sample longer than
    `limit` loses its end: what is left ends within a turn or with one, never in a prompt whose
    answer was cut off. In the place of a conversation of which a turn covers no token there is an
    error.
    """
    ids, starts, ends = encoded.ids, encoded.at[::2], encoded.at[1::2]
    size = len(ids) + 1
    open_turns = np.cumsum(np.bincount(starts, minlength=size) - np.bincount(ends, minlength=size))
    labels = np.where(open_turns[:-1] > 0, ids, np.int32(IGNORED))
    samples: list[Sample | TemplateError] = [
        Sample(ids[start:end], labels[start:end])
        for start, end in pairwise(encoded.bounds.tolist())
    ]
    turns = encoded.at_bounds // 2
    if limit is not None:
        for index in np.flatnonzero(np.diff(encoded.bounds) > limit).tolist():
            mine = slice(turns[index], turns[index + 1])
            begin = encoded.bounds[index]
            samples[index] = _cut(samples[index], starts[mine] - begin, ends[mine] - begin, limit)
    for index in np.searchsorted(turns, np.flatnonzero(starts >= ends), side="right").tolist():
        samples[index - 1] = TemplateError("an assistant's turn has no token")
    return samples


def _cut(sample: Sample, starts: np.ndarray, ends: np.ndarray, limit: int) -> Sample:
    size = int(np.minimum(ends, limit)[starts < limit].max(initial=0))
    lost = size < ends.max(initial=0)
    return Sample(sample.input_ids[:size], sample.labels[:size], bool(lost))


def text_sample(ids: np.ndarray, limit: int | None, in_pieces: bool) -> Sample:
    """A text's tokens, all counted; what is longer than `limit` is cut, or cut into pieces."""
    size = len(ids) if limit is None else limit
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
