"""Which samples train, validate and calibrate, and which are left out as duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finery.data.choosing.emptied import refuse_unmixed, refuse_untrained
from finery.data.choosing.mixing import mixed, selected
from finery.data.choosing.pool import Pool
from finery.data.tokens.duplicates import SPLITS, first_copies, first_near, report
from finery.data.tokens.splits import calibrating, validating
from finery.params.data import DataParams


@dataclass(frozen=True)
class Choice:
    """Numbers of samples in a pool, each split in its order, and what was found twice."""

    training: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    duplicates: dict[str, Any]


def choose(
    params: DataParams, pool: Pool, num_samples: Sequence[int | None], asked: Pool
) -> Choice:
    """Divide the samples of `pool`, whose last datasets are those of `data.eval_dataset`.

    `num_samples` is of dataset_info.json, for each dataset of the pool. Where a sample goes
    depends on what it says alone; none that trains says the same as one that validates. Raises
    `DataError`, naming the setting, if none is left to train on.
    """
    taken = [_taken(params, pool, number, count) for number, count in enumerate(num_samples)]
    learnt, watched = taken[: len(params.train)], _joined(taken[len(params.train) :])
    held = validating(pool.facts["key"], params.val_size, params.seed)
    used = np.zeros(len(held), bool)
    used[_joined(learnt)] = True
    training = np.flatnonzero(used & ~held)
    validation = np.concatenate((watched, np.flatnonzero(used & held)))
    copies, duplicates = _copies(params, asked, pool, validation, training)
    refuse_untrained(params, training, copies)
    removed = np.zeros(len(pool.facts), bool)
    removed[training[copies]] = params.deduplicate != "off"
    order = mixed(
        [samples[~removed[samples]] for samples in learnt],
        params.mix_strategy,
        params.interleave_probs,
        params.seed,
    )[: params.max_total_samples]
    training = order[~held[order]]
    refuse_unmixed(params, training)
    return Choice(
        training,
        np.concatenate((_once(order[held[order]]), watched)),
        calibrating(pool.facts["key"], training, params.calibration_samples, params.seed),
        duplicates | {"removed": int(removed.sum())},
    )


def _taken(params: DataParams, pool: Pool, dataset: int, num_samples: int | None) -> np.ndarray:
    """The samples of a dataset that are used. `max_samples` is of its rows, if it uses all."""
    samples = pool.of(dataset)
    if num_samples is None:
        return samples
    chosen = selected(pool.facts["key"][samples], num_samples, params.seed)
    return samples[chosen][: params.max_samples]


def _copies(
    params: DataParams,
    asked: Pool,
    pool: Pool,
    validation: np.ndarray,
    training: np.ndarray,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Which of `training` are copies of what comes before them, and the counts for the report."""
    ours = np.concatenate((validation, training))
    keys = np.concatenate((asked.keys, pool.keys[ours]))
    sizes = (len(asked.facts), len(validation), len(training))
    split = np.repeat(np.arange(len(SPLITS)), sizes)
    leaders = first_copies(keys)
    firsts = np.flatnonzero(leaders == np.arange(len(leaders)))
    found: dict[str, Any] = {"exact": report(leaders, split)}
    copies = leaders != np.arange(len(leaders))
    if params.deduplicate == "near":
        signatures = [asked.signatures(np.arange(len(asked.facts))), pool.signatures(ours)]
        near = first_near(np.concatenate(signatures)[firsts])
        found["near"] = report(near, split[firsts])
        copies[firsts] = near != np.arange(len(near))
    return copies[len(copies) - len(training) :], found


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, int), *arrays])


def _once(samples: np.ndarray) -> np.ndarray:
    """Each sample where it comes first."""
    return samples[np.sort(np.unique(samples, return_index=True)[1])]
