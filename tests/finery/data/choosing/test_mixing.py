"""Mixed as the datasets library interleaves, which is what LLaMA-Factory does."""

import itertools

import numpy as np
import pytest
from datasets import Dataset, interleave_datasets

from finery.data.choosing.mixing import mixed, selected

STRATEGIES = {
    "interleave_under": "first_exhausted",
    "interleave_over": "all_exhausted",
    "interleave_once": "all_exhausted_without_replacement",
}
SIZES = [(3, 5), (5, 3), (1, 1), (7, 2, 4), (40, 3)]
KEYS = np.random.default_rng(0).integers(0, 2**63, 50).astype(np.uint64)


def indices(sizes: tuple[int, ...]) -> list[np.ndarray]:
    ends = np.cumsum([0, *sizes])
    return [np.arange(a, b) for a, b in itertools.pairwise(ends)]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("with_shares", [False, True])
def test_the_order_is_that_of_the_datasets_library(
    strategy: str, sizes: tuple[int, ...], with_shares: bool
):
    weights = np.arange(1, len(sizes) + 1)
    shares = (weights / weights.sum()).tolist() if with_shares else None
    theirs = interleave_datasets(
        [Dataset.from_dict({"i": each}) for each in indices(sizes)],
        probabilities=shares,
        seed=42,
        stopping_strategy=STRATEGIES[strategy],
    )
    assert mixed(indices(sizes), strategy, shares, 42).tolist() == list(theirs["i"])


def test_concatenated_they_stay_as_they_are():
    assert mixed(indices((3, 2)), "concat", None, 42).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("strategy", ["concat", *STRATEGIES])
def test_a_dataset_of_which_nothing_is_left_has_no_turn(strategy: str):
    some = [np.array([4, 7]), np.empty(0, int)]
    assert mixed(some, strategy, [0.5, 0.5], 1).tolist() == [4, 7]
    assert mixed([np.empty(0, int)], strategy, None, 1).tolist() == []


def test_some_samples_of_a_dataset():
    assert selected(KEYS, None, 1).tolist() == list(range(50))
    some = selected(KEYS, 10, 1)
    assert len(set(some)) == 10 and some.tolist() == sorted(some)
    assert selected(KEYS, 10, 2).tolist() != some.tolist()
    assert set(selected(KEYS[::-1], 10, 1)) == {49 - index for index in some}


def test_more_than_there_are_come_again():
    counts = np.bincount(selected(KEYS, 120, 1))
    assert counts.sum() == 120 and counts.min() == 2 and counts.max() == 3
    assert selected(KEYS[:0], 5, 1).tolist() == []
