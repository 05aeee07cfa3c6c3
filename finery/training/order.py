"""The order of the samples follows from seed and epoch alone.

transformers' own grouping by length draws it from a global state at the beginning of an epoch,
which a checkpoint from the middle of that epoch does not have; and accelerate tells a sampler its
epoch only through wrappers that it knows, which those of a resumed run on several GPUs are not.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

TOKENS = ("input_ids", "rejected_input_ids")


class LengthGrouped(Sampler[int]):
    """Samples of about the same length follow each other, otherwise at random, anew each epoch.

    `lengths` are in tokens; `together` is how many samples a step takes; `epoch` is asked each
    time the samples are gone through.
    """

    def __init__(
        self, lengths: Sequence[int], together: int, seed: int, epoch: Callable[[], int]
    ) -> None:
        self._lengths, self._together = lengths, together
        self._seed, self._epoch = seed, epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        from transformers.trainer_pt_utils import get_length_grouped_indices

        state = np.random.SeedSequence([self._seed, self._epoch()]).generate_state(1)
        generator = torch.Generator().manual_seed(int(state[0]))
        return iter(get_length_grouped_indices(self._lengths, self._together, generator=generator))


class InOrder:
    """For a Trainer of transformers: its training samples come as `LengthGrouped` has them."""

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGrouped:
        samples = self.train_dataset if train_dataset is None else train_dataset
        together = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthGrouped(
            token_counts(samples), together, self.args.seed, lambda: int(self.state.epoch)
        )


def token_counts(samples: Any) -> list[int]:
    """How many tokens each sample of a `datasets.Dataset` has: of a pair, its longer answer."""
    import pyarrow.compute as pc

    table = samples.with_format("arrow")[:]
    answers = [table[name] for name in TOKENS if name in table.column_names]
    return pc.max_element_wise(*map(pc.list_value_length, answers)).to_pylist()
