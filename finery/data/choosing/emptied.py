"""Which setting it is that leaves nothing to train on, to validate or to test."""

from collections.abc import Sequence

import numpy as np

from finery.data.errors import DataError
from finery.data.rows.bad_rows import Tally
from finery.data.tokens.tokenized import Tokenized
from finery.params.data import DataParams, SharedDataParams


def refuse_emptied(params: SharedDataParams, datasets: Sequence[Tokenized]) -> None:
    """Raises `DataError` for a dataset of which no sample is left, with its first bad rows."""
    for each in datasets:
        if len(each.facts()):
            continue
        if each.summary["dropped"]:
            raise DataError(
                f"{params.key('cutoff_len')}: {params.cutoff_len} tokens leave no answer to train"
                f" on in {each.name}; raise it"
            )
        tally = Tally()
        for bad in each.bad_rows():
            tally.add(bad)
        first = f" that {params.key('max_samples')} takes" if params.max_samples else ""
        problem = f"data.on_bad_row: skip leaves nothing of {each.name}: all rows{first} are bad"
        raise DataError("\n".join([problem, *tally.lines()]))


def refuse_untrained(params: DataParams, training: np.ndarray, copies: np.ndarray) -> None:
    """Raises `DataError` if none of the samples trains, or all of them are to be left out.

    `copies` has a flag for each of `training`: whether it says what another one does.
    """
    if not len(training):
        key = params.key("val_size")
        raise DataError(f"{key}: {params.val_size} leaves nothing to train on; lower it")
    if params.deduplicate != "off" and copies.all():
        raise DataError(
            f"data.deduplicate: {params.deduplicate} leaves nothing to train on: all"
            f" {len(training)} samples are copies of ones that validate or are asked; train on"
            " others"
        )


def refuse_unmixed(params: DataParams, training: np.ndarray) -> None:
    """Raises `DataError` if all that is left after mixing validates."""
    if len(training):
        return
    if params.max_total_samples is None:
        setting, advice = "mix_strategy", "choose another"
    else:
        setting, advice = "max_total_samples", "raise it"
    raise DataError(
        f"{params.key(setting)}: {getattr(params, setting)} leaves nothing to train on: all that it"
        f" takes validates; {advice}, or lower {params.key('val_size')}"
    )
