"""Intervals and chances: beside scipy's, and in simulations whose truth is known."""

import numpy as np
import pytest
from scipy import stats

from finery.comparison.resampling import chance, interval, resampled, wilson

RUNS = 1000
"""Comparisons that are simulated: each a column, all drawn again together."""


def means(scores: np.ndarray, resamples: int = 10_000) -> np.ndarray:
    return resampled(scores, resamples) / len(scores)


@pytest.mark.parametrize("count", [20, 300])
def test_the_bootstrap_is_that_of_scipy(count: int):
    scores = np.random.default_rng(1).gamma(2, size=count)
    ours = interval(means(scores[:, None])[:, 0])
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=10_000, method="percentile", random_state=2
    ).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.06 * scores.std() / count**0.5)


def test_differences_and_ratios_are_paired():
    """The same samples are drawn of both: a model that is always better by 0.1 surely is so."""
    scores = np.random.default_rng(1).random((50, 1))
    both = means(np.concatenate([scores, scores + 0.1], axis=1))
    assert both[:, 1] - both[:, 0] == pytest.approx(0.1)
    assert (means(scores) == means(scores)).all(), "the same every time"


@pytest.mark.parametrize(("hits", "count"), [(0, 30), (1, 7), (15, 30), (30, 30)])
def test_the_interval_of_a_share_is_that_of_scipy(hits: int, count: int):
    theirs = stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits, count) == pytest.approx((theirs.low, theirs.high))


def test_chances_are_those_of_scipy():
    gains = np.random.default_rng(3).normal(0.2, 1, size=(12, 1))
    exact = stats.permutation_test(
        (gains[:, 0],), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert chance(gains, 40_000)[0] == pytest.approx(exact, abs=0.01)
    better, worse = 11, 3  # McNemar's test: of what flipped
    flipped = np.array([1.0] * better + [-1.0] * worse + [0.0] * 60)[:, None]
    exact = stats.binomtest(worse, better + worse).pvalue
    assert chance(flipped, 40_000)[0] == pytest.approx(exact, abs=0.01)
    assert chance(np.zeros((9, 2))).tolist() == [1.0, 1.0]
    assert chance(np.ones((40, 1)))[0] < 0.001


def gains(generator: np.random.Generator, count: int, better: float, worse: float) -> np.ndarray:
    """Of yes or no, in 1,000 comparisons: so many answers became better, so many worse."""
    drawn = generator.random((count, RUNS))
    return (drawn < better) * 1.0 - (drawn > 1 - worse)


@pytest.mark.parametrize("count", [30, 400])
@pytest.mark.parametrize("flipped", [0.02, 0.2])
def test_without_a_difference_hardly_a_better_one_is_found(count: int, flipped: float):
    found = gains(np.random.default_rng(4), count, flipped / 2, flipped / 2)
    shown = chance(found, 2000) <= 0.05
    assert (shown & (found.sum(0) > 0)).mean() <= 0.05
    assert shown.mean() <= 0.065  # 5 % and 2 standard errors of 1,000 comparisons


def test_a_difference_of_five_points_in_400_samples_is_found():
    found = gains(np.random.default_rng(5), 400, 0.10, 0.05)
    assert ((chance(found, 2000) <= 0.05) & (found.sum(0) > 0)).mean() >= 0.6


def test_intervals_have_the_truth_as_often_as_they_say():
    scores = np.random.default_rng(6).beta(2, 1, size=(100, RUNS))
    drawn = means(scores, 1000)
    inside = [low <= 2 / 3 <= high for low, high in map(interval, drawn.T)]
    assert 0.92 <= np.mean(inside) <= 0.975
    hits = np.random.default_rng(7).binomial(40, 0.9, size=RUNS)
    assert np.mean([low <= 0.9 <= high for low, high in (wilson(n, 40) for n in hits)]) >= 0.93
