"""Several datasets as one: in which order their samples come, and which of them."""

from collections.abc import Sequence

import numpy as np

from finery.data.tokens.splits import ranked


def selected(keys: np.ndarray, num_samples: int | None, seed: int) -> np.ndarray:
    """The indices of `num_samples` samples at random; if there are fewer, some come again.

    A sample's hash decides, so that new samples push out as few old ones as can be.
    """
    if num_samples is None or not len(keys):
        return np.arange(len(keys))
    whole, rest = divmod(num_samples, len(keys))
    chosen = ranked(keys, f"num_samples {seed}")[:rest]
    return np.sort(np.concatenate((np.tile(np.arange(len(keys)), whole), chosen)))


def mixed(
    datasets: Sequence[np.ndarray], strategy: str, shares: Sequence[float] | None, seed: int
) -> np.ndarray:
    """One array of the indices in `datasets`, in the order of `data.mix_strategy`.

    The strategies are those of `datasets.interleave_datasets`: `interleave_under` ends when the
    first dataset is used up; `interleave_over` when each was, starting short ones again;
    `interleave_once` likewise, without starting again.
    """
    filled = [indices for indices in datasets if len(indices)]
    if strategy == "concat" or len(filled) < 2:
        return np.concatenate([np.empty(0, int), *filled])
    sizes = np.array([len(indices) for indices in filled])
    odds = None if shares is None else [s for s, d in zip(shares, datasets, strict=True) if len(d)]
    turn, row = _turns(sizes, odds, first_ends=strategy == "interleave_under", seed=seed)
    if strategy == "interleave_once":
        fresh = row < sizes[turn]
        turn, row = turn[fresh], row[fresh]
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    return np.concatenate(filled)[starts[turn] + row % sizes[turn]]


def _turns(
    sizes: np.ndarray, shares: Sequence[float] | None, first_ends: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Whose turn it is, and how many turns it had before: up to the end of one or of each."""
    rng, length = np.random.default_rng(seed), 2 * int(sizes.sum())
    turn = np.empty(0, int)
    while True:
        turn = np.concatenate((turn, _drawn(len(sizes), shares, length, rng)))
        row = np.empty(len(turn), int)
        for dataset in range(len(sizes)):
            mine = turn == dataset
            row[mine] = np.arange(mine.sum())
        used_up = np.flatnonzero(row == sizes[turn] - 1)
        if len(used_up) and (first_ends or len(used_up) == len(sizes)):
            end = int(used_up[0] if first_ends else used_up[-1]) + 1
            if shares is None:
                end += -end % len(sizes)  # a round is ended
            return turn[:end], row[:end]


def _drawn(
    datasets: int, shares: Sequence[float] | None, length: int, rng: np.random.Generator
) -> np.ndarray:
    if shares is None:
        return np.tile(np.arange(datasets), -(-length // datasets))
    bounds = np.cumsum(shares) / np.sum(shares)
    return np.searchsorted(bounds[:-1], rng.random(length), side="right")
