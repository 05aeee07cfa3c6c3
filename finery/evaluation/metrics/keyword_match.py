"""How many of the keywords that a row has are in the answer."""

from collections.abc import Sequence

import regex

from finery.evaluation.sample import Sample
from finery.evaluation.wording import folded

BEFORE_A_NUMBER, AFTER_A_NUMBER = r"(?<!\d)(?<!\d[.,])(?<!(?<!\w)-)", r"(?![.,]?\d)"


def score(sample: Sample) -> dict[str, float | None]:
    return {"keyword_match": keyword_match(sample.answer, sample.keywords)}


def keyword_match(answer: str, keywords: Sequence[str]) -> float | None:
    """The share of the keywords that occur in the answer, case aside; None without keywords.

    A keyword may be part of a longer word, a number not of a longer number: 5 is not in 15, -5
    or 5.2.
    """
    if not keywords:
        return None
    text = _spaced(answer)
    return sum(_occurs(_spaced(word), text) for word in keywords) / len(keywords)


def _occurs(word: str, text: str) -> bool:
    before = BEFORE_A_NUMBER if word[:1].isdigit() else ""
    after = AFTER_A_NUMBER if word[-1:].isdigit() else ""
    return bool(regex.search(before + regex.escape(word) + after, text))


def _spaced(text: str) -> str:
    return " ".join(folded(text).split())
