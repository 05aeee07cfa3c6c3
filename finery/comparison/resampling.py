"""How far numbers could be off by the choice of the test samples: bootstrap, sign flips, Wilson.

Every number is a sum over samples divided by another: of scores by how many have one, of losses by
tokens. The bootstrap (Efron and Tibshirani 1993) draws samples again with replacement, the same for
all models and all numbers, so that differences and ratios of what it gives are paired.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 42
AT_ONCE = 4_000_000
"""Draws held in memory together."""
LEAST = 1e-9
"""Sums that differ by less are the same, but for rounding."""


def resampled(sums: Any, resamples: int = RESAMPLES, seed: int = SEED) -> Any:
    """For a matrix (samples x columns), the sums of its columns over samples that are drawn again.

    Gives a matrix (resamples x columns); the same every time.
    """
    sums = np.asarray(sums, dtype=float)
    generator, count = np.random.default_rng(seed), len(sums)
    totals = [_times_drawn(generator, size, count) @ sums for size in _sizes(resamples, count)]
    return np.concatenate(totals)


def interval(values: Any, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Between which bounds what was resampled lies, as much of it as `confidence`."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def wilson(hits: float, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a share of yes or no (Wilson 1927), which 30 of 30 too has a width for."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = hits / count, z * z / count
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * ((share * (1 - share) + weight / 4) / count) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def chance(gains: Any, resamples: int = RESAMPLES, seed: int = SEED) -> Any:
    """How likely it is that gains are so far from nothing if there is no difference: p, two-sided.

    For a matrix (samples x columns), a number for each column: the share of random signs of the
    gains (Fisher's randomization, for yes and no McNemar's test) whose sum is as large, the gains
    themselves counted among them, so that p <= 5 % comes about in at most 5 % of comparisons
    without a difference.
    """
    gains = np.asarray(gains, dtype=float)
    generator, count = np.random.default_rng(seed), len(gains)
    reached = np.abs(gains.sum(0)) - LEAST
    beyond = np.zeros(gains.shape[1])
    for size in _sizes(resamples, count):
        signs = generator.integers(0, 2, (size, count)) * 2.0 - 1
        beyond += (np.abs(signs @ gains) >= reached).sum(0)
    return (1 + beyond) / (1 + resamples)


def _times_drawn(generator: Any, size: int, count: int) -> Any:
    """For each of `size` draws of `count` samples, how often each sample is in it."""
    drawn = generator.integers(0, count, (size, count))
    places = drawn + np.arange(size)[:, None] * count
    return np.bincount(places.ravel(), minlength=size * count).reshape(size, count).astype(float)


def _sizes(resamples: int, count: int) -> Iterator[int]:
    at_once = max(1, AT_ONCE // count)
    for done in range(0, resamples, at_once):
        yield min(at_once, resamples - done)
