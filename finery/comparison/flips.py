"""The samples that one model answers better than another, and the words that differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

import regex

from finery.comparison.variants import Variant
from finery.samples import Sample

DECIDING = ("keyword_match", "exact_match")
"""The first that a sample has says whether its answer is a good one."""
LONGEST = 600
WORD = regex.compile(r"\p{Han}|[\p{L}\p{M}\p{N}]+|\s+|.", regex.S)
Marked = list[tuple[str, bool]]
"""Pieces of a text, and whether the other text does not have them."""


@dataclass(frozen=True)
class Flip:
    """A sample, and what two models answered; `gain` is above 0 if the first is better."""

    dataset: str
    question: str
    reference: str
    number: str
    gain: float
    mine: str
    other: str

    @cached_property
    def marked(self) -> tuple[Marked, Marked]:
        """Both answers with the words marked that the other does not have."""
        return marked(self.mine, self.other)


def flips(mine: Variant, other: Variant) -> list[Flip]:
    """What flipped, from the largest loss to the largest gain; of equal ones in their order."""
    pairs = zip(mine.samples, other.samples, strict=True)
    found = [flip for pair in pairs for flip in _flip(*pair)]
    return sorted(found, key=lambda flip: flip.gain)


def marked(text: str, other: str) -> tuple[Marked, Marked]:
    """Two texts in pieces, with what one has and the other has not marked."""
    a, b = WORD.findall(text), WORD.findall(other)
    first: Marked = []
    second: Marked = []
    for kind, a1, a2, b1, b2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        first += [("".join(a[a1:a2]), kind != "equal")] if a2 > a1 else []
        second += [("".join(b[b1:b2]), kind != "equal")] if b2 > b1 else []
    return first, second


def deciding(sample: Sample) -> Iterator[str]:
    return (name for name in DECIDING if sample.get(name) is not None)


def _flip(mine: Sample, other: Sample) -> Iterator[Flip]:
    name = next(deciding(mine), None)
    if name is None or other.get(name) is None or mine[name] == other[name]:
        return
    asked = (mine["dataset"], _short(mine["question"]), _short(mine["reference"]))
    answers = (_short(mine["answer"]), _short(other["answer"]))
    yield Flip(*asked, name, mine[name] - other[name], *answers)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def counts(found: Sequence[Flip]) -> tuple[int, int]:
    """How many became better, and how many worse."""
    better = sum(flip.gain > 0 for flip in found)
    return better, len(found) - better
