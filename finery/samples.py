"""Scored test samples, the lines of reports/samples/NAME.jsonl: read, and put side by side."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

Sample = dict[str, Any]
"""A line of reports/samples/NAME.jsonl."""


def parse_samples(text: str) -> list[Sample]:
    """One JSON object a line; splitlines() would break lines at U+2028 too, inside a string."""
    return [json.loads(line) for line in text.split("\n") if line]


def keyed(dataset: str, samples: Sequence[Sample]) -> dict[tuple, Sample]:
    """The samples of a dataset, or of `all`, under what was asked.

    That is dataset, question, reference and keywords; the same asked twice is told apart by a
    count.
    """
    asked, found = Counter[tuple](), {}
    for sample in samples:
        if dataset in (sample["dataset"], "all"):
            key = (sample["dataset"], sample["question"], sample["reference"])
            key += tuple(sample["keywords"] or ())
            asked[key] += 1
            found[*key, asked[key]] = sample
    return found


def score(name: str, sample: Sample) -> float | None:
    """A number of a sample; None if it has none, NaN if that was no number.

    `loss` is in nats an answer, so that its sum follows the metric `loss`, long answers included.
    """
    if name == "loss":
        loss, tokens = sample["loss"], sample["reference_tokens"]
        if loss is None:  # of an empty answer there is none; of any other it was no number
            return math.nan if tokens else None
        return loss * tokens
    if name == "unfinished":
        return float(not sample["finished"])
    return sample.get(name)
