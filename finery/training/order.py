"""The order of the samples follows from seed and epoch alone.

transformers' own grouping by length draws it from a global state at the beginning of an epoch,
which a checkpoint from the middle of that epoch does not have; and accelerate tells a sampler its
epoch only through wrappers that it knows, which those of a resumed run on several GPUs are not.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from finery.params.pace import devices

TOKENS = ("input_ids", "rejected_input_ids")


class LengthGrouped(Sampler[int]):
    """Samples of about the same length follow each other, otherwise at random, anew each epoch.

    `lengths` are in tokens; `together` is how many samples a step takes; `epoch` is asked each
    time the samples are gone through. An epoch has a multiple of `full` samples: what is missing
    is the one after the last of `lengths`, which teaches nothing (`with_nothing`).
    """

    def __init__(
        self,
        lengths: Sequence[int],
        together: int,
        seed: int,
        epoch: Callable[[], int],
        full: int = 1,
    ) -> None:
        self._lengths, self._together = lengths, together
        self._seed, self._epoch = seed, epoch
        self._missing = -len(lengths) % full

    def __len__(self) -> int:
        return len(self._lengths) + self._missing

    def __iter__(self) -> Iterator[int]:
        from transformers.trainer_pt_utils import get_length_grouped_indices

        state = np.random.SeedSequence([self._seed, self._epoch()]).generate_state(1)
        generator = torch.Generator().manual_seed(int(state[0]))
        order = get_length_grouped_indices(self._lengths, self._together, generator=generator)
        return iter(order + [len(self._lengths)] * self._missing)


class InOrder:
    """For a Trainer of transformers: its training samples come as `LengthGrouped` has them.

    A step of several processes has the samples that it has of one: they take its batches in turn,
    and the last sample of the data, which teaches nothing, fills up the last step of an epoch.
    Each of them looks at all of the validation, whose batches are the same, too.
    """

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGrouped:
        samples = self.train_dataset if train_dataset is None else train_dataset
        at_once = self.args.train_batch_size * devices()
        lengths = token_counts(samples)
        return LengthGrouped(
            lengths if devices() == 1 else lengths[:-1],
            at_once * self.args.gradient_accumulation_steps,
            self.args.seed,
            lambda: int(self.state.epoch),
            full=1 if devices() == 1 else at_once,
        )

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        loader = super().get_eval_dataloader(eval_dataset)
        if devices() == 1:
            return loader
        self.gather_function = _first(len(loader.dataset))
        batches = loader.batch_sampler.batch_sampler  # of which accelerate would give us a part
        return DataLoader(loader.dataset, batch_sampler=batches, collate_fn=loader.collate_fn)


def longest_first(samples: Any) -> list[int]:
    """The order to validate in: by length, and nothing is drawn for it."""
    lengths = token_counts(samples)
    return sorted(range(len(lengths)), key=lambda row: -lengths[row])


def _first(rows: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """In the place of gathering from all processes: the Trainer repeats the loss of a batch as
    often as a full one has rows, and so many are real.
    """
    left = rows

    def cut(losses: torch.Tensor) -> torch.Tensor:
        nonlocal left
        losses = losses[:left]
        left -= len(losses)
        return losses

    return cut


def with_nothing(samples: Any) -> Any:
    """A `datasets.Dataset` of tokens and labels with one sample more, none of which is counted."""
    from datasets import Dataset, concatenate_datasets

    own = {"input_ids": [0, 0], "labels": [-100, -100], "seq_lengths": [2]}
    row = {name: [own.get(name)] for name in samples.column_names}
    return concatenate_datasets([samples, Dataset.from_dict(row, features=samples.features)])


def token_counts(samples: Any) -> list[int]:
    """How many tokens each sample of a `datasets.Dataset` has: of a pair, its longer answer."""
    import pyarrow.compute as pc

    table = samples.with_format("arrow")[:]
    answers = [table[name] for name in TOKENS if name in table.column_names]
    return pc.max_element_wise(*map(pc.list_value_length, answers)).to_pylist()
