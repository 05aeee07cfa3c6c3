"""The verdict of the paired bootstrap, on numbers whose right answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finery.releases.bootstrap import bounds, verdict

SCORES = st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 1.0])
PAIRS = st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=60)


def judge(gains, confidence: float = 0.95, resamples: int = 1000, seed: int = 42) -> str:
    return verdict(gains, *bounds(gains, confidence, resamples, seed))


@given(st.lists(SCORES, min_size=1, max_size=60))
def test_a_model_is_equal_to_itself(scores: list[float]):
    assert judge([score - score for score in scores]) == "equal"


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=60))
def test_worse_on_every_sample_is_worse_and_better_is_better(losses: list[float]):
    assert judge([-loss for loss in losses]) == "worse"
    assert judge(losses) == "better"


@settings(deadline=None)
@given(PAIRS)
def test_the_verdict_turns_with_the_roles(pairs: list[tuple[float, float]]):
    opposite = {"worse": "better", "better": "worse"}
    found = judge([mine - theirs for mine, theirs in pairs])
    assert judge([theirs - mine for mine, theirs in pairs]) == opposite.get(found, found)


@settings(deadline=None)
@given(PAIRS)
def test_never_worse_with_a_mean_that_is_not(pairs: list[tuple[float, float]]):
    gains = [mine - theirs for mine, theirs in pairs]
    if np.mean(gains) >= 1e-12:
        assert judge(gains) != "worse"
    elif np.mean(gains) <= -1e-12:
        assert judge(gains) != "better"


@settings(deadline=None)
@given(PAIRS, st.integers(0, 10))
def test_the_same_every_time(pairs: list[tuple[float, float]], seed: int):
    gains = [mine - theirs for mine, theirs in pairs]
    assert bounds(gains, 0.9, 500, seed) == bounds(gains, 0.9, 500, seed)


def test_a_gain_and_a_loss_that_cancel_but_for_rounding_are_no_loss():
    """0.3 - 0.1 - 0.2 is not zero in binary; resampling only ever repeats such leftovers."""
    gains = [0.1 + 0.2 - 0.3, -(0.1 + 0.2 - 0.3), 0.3 - 0.2 - 0.1]
    assert gains[2] < 0
    assert judge(gains) == "not distinguishable"


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([-1.0], "worse"),  # one sample knows no spread; the champion gets the benefit
        ([1.0], "better"),
        ([0.0], "equal"),
        ([-1.0, 0.0, 0.0], "not distinguishable"),  # 0.3 of the draws miss the one that differs
        ([-1.0] * 4 + [0.0] * 36, "worse"),  # 0.9 ** 40 of them do: 1.5 %
        ([-1.0] * 2 + [0.0] * 38, "not distinguishable"),  # 13 %
        ([-1.0] * 12 + [1.0] * 8, "not distinguishable"),
        ([-1.0] * 120 + [1.0] * 80, "worse"),
    ],
)
def test_known_cases(gains: list[float], expected: str):
    assert judge(gains, resamples=20_000) == expected


def test_the_bound_is_where_the_normal_distribution_has_it():
    """The mean of n draws is off by 1.645 standard errors at most, 95 % sure."""
    gains = np.random.default_rng(0).normal(0.1, 1, 2000)
    low, high = bounds(gains, 0.95, 20_000, 1)
    error = gains.std() / np.sqrt(len(gains))
    assert low == pytest.approx(gains.mean() - 1.645 * error, abs=0.05 * error)
    assert high == pytest.approx(gains.mean() + 1.645 * error, abs=0.05 * error)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_equally_good_models_are_refused_as_rarely_as_promised(confidence: float):
    """600 pairs of models that are each right on 70 % of 150 questions, whatever the other does."""
    generator = np.random.default_rng(7)
    gains = (generator.random((600, 150)) < 0.7) * 1.0 - (generator.random((600, 150)) < 0.7)
    refused = sum(judge(each, confidence, resamples=400) == "worse" for each in gains) / 600
    assert refused == pytest.approx(1 - confidence, abs=0.03)


def test_a_clearly_worse_model_is_never_promoted():
    """60 % against 85 % on 150 questions: 300 tries, all refused."""
    generator = np.random.default_rng(8)
    gains = (generator.random((300, 150)) < 0.6) * 1.0 - (generator.random((300, 150)) < 0.85)
    assert {judge(each, resamples=400) for each in gains} == {"worse"}


def test_many_samples_take_little_memory():
    gains = np.random.default_rng(9).normal(0, 1, 200_000)
    low, high = bounds(gains, 0.95, 100, 0)
    assert low < gains.mean() < high
