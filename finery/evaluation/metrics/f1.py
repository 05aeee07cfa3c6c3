"""Precision, recall and F1 of labels: for classification and tagging.

The labels of an answer are what commas, semicolons and ends of lines part, each compared as
`exact_match` compares texts. A dataset has the mean over the labels that its references have
(macro), so that a rare one counts as much as a frequent one; an answer that is none of them costs
recall alone.
"""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

import regex

from finery.evaluation.sample import Sample
from finery.evaluation.wording import plain

BETWEEN = regex.compile(r"[,;\n，；、]")
NUMBERS = ("precision", "recall", "f1")


def score(sample: Sample) -> dict[str, float | None]:
    if not sample.text:
        return dict.fromkeys(NUMBERS)
    said, right = labels(sample.answer), labels(sample.reference)
    return _ratios(len(said & right), len(said), len(right))


def of_dataset(samples: Sequence[Sample]) -> dict[str, float]:
    hit, said, right = Counter[str](), Counter[str](), Counter[str]()
    for sample in samples:
        found, expected = labels(sample.answer), labels(sample.reference)
        hit.update(found & expected)
        said.update(found)
        right.update(expected)
    each = [_ratios(hit[label], said[label], right[label]) for label in right]
    return {name: fmean(ratios[name] for ratios in each) for name in NUMBERS if each}


def labels(text: str) -> set[str]:
    """The labels in a text."""
    return {label for part in BETWEEN.split(text) if (label := plain(part))}


def _ratios(hit: int, said: int, right: int) -> dict[str, float]:
    """Nothing said is precision 0, as in scikit-learn."""
    return {
        "precision": hit / said if said else 0.0,
        "recall": hit / right if right else 0.0,
        "f1": 2 * hit / (said + right) if said + right else 0.0,
    }
