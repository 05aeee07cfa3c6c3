"""Is a model worse than another, judged on the same test samples?

The paired bootstrap (Efron and Tibshirani 1993, chapter 16; for language models Koehn 2004,
https://aclanthology.org/W04-3250): each sample gives one gain, the candidate's score minus the
champion's, turned so that more is better. Means of the gains, drawn again with replacement, show
how far the mean could be off by the choice of the test samples.

- `worse`: the upper bound, at the one-sided confidence asked for, is below zero
- `better`: the lower bound is above zero
- `equal`: every single gain is zero
- `not distinguishable`: anything else; it is no reason to refuse a candidate

Two models that are equally good are called worse in about one of 1 / (1 - confidence) cases, for
each metric. Few samples show little of their own spread, so that the verdict is then the harder
on the candidate: with one sample, less is worse. That errs on the champion's side; a person can
override it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWN_AT_ONCE = 1_000_000
DECIMALS = 12  # 0.1 + 0.2 - 0.3 is 5.6e-17, and nobody's gain


@dataclass(frozen=True)
class Comparison:
    """One metric of two models; `gain` and its bounds are positive where the candidate is better.

    `low` and `high` are one-sided bounds, each at `confidence`.
    """

    metric: str
    samples: int
    candidate: float
    champion: float
    gain: float
    low: float
    high: float
    confidence: float
    verdict: str


def bounds(
    gains: Sequence[float], confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    """One-sided lower and upper bound of the mean gain, each at `confidence`; the same every time.

    Takes at least one gain.
    """
    draws, generator = np.asarray(gains, dtype=float), np.random.default_rng(seed)
    count = len(draws)
    at_once = max(1, DRAWN_AT_ONCE // count)
    sizes = [min(at_once, resamples - done) for done in range(0, resamples, at_once)]
    means = np.concatenate(
        [draws[generator.integers(0, count, (size, count))].mean(axis=1) for size in sizes]
    )
    low, high = np.quantile(means, [1 - confidence, confidence]).round(DECIMALS)
    return float(low), float(high)


def verdict(gains: Sequence[float], low: float, high: float) -> str:
    """better, equal, not distinguishable or worse: see the module."""
    if not any(gains):
        return "equal"
    return "worse" if high < 0 else "better" if low > 0 else "not distinguishable"
