"""The order of an epoch: like lengths together, by seed and epoch alone, on any number of GPUs."""

import pytest
import torch
from accelerate import skip_first_batches
from accelerate.data_loader import prepare_data_loader
from datasets import Dataset
from torch.utils.data import DataLoader

from finery.training.order import LengthGrouped, token_counts

LENGTHS = [10 + (7 * n) % 53 for n in range(101)]
BATCH = 4


def order(epoch: int, seed: int = 1) -> list[int]:
    return list(LengthGrouped(LENGTHS, BATCH, seed, lambda: epoch))


def test_an_order_a_seed_and_epoch():
    orders = [order(epoch, seed) for epoch in range(3) for seed in (1, 2)]
    assert len({tuple(each) for each in orders}) == len(orders)
    assert all(sorted(each) == list(range(101)) for each in orders)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert order(2) == orders[4]
    assert torch.equal(torch.get_rng_state(), state)


def test_like_lengths_are_together():
    def padding(indices: list[int]) -> int:
        batches = [indices[start : start + BATCH] for start in range(0, len(indices), BATCH)]
        lengths = [[LENGTHS[index] for index in batch] for batch in batches]
        return sum(max(batch) * len(batch) - sum(batch) for batch in lengths)

    assert padding(order(0)) < padding(list(range(101))) / 2


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_an_epoch_begun_in_its_middle_goes_on_as_the_whole(processes: int, workers: int):
    epoch = 0

    def loader(process: int) -> DataLoader:
        sampler = LengthGrouped(LENGTHS, BATCH, 1, lambda: epoch)
        batches = DataLoader(range(101), BATCH, sampler=sampler, num_workers=workers)
        return prepare_data_loader(batches, num_processes=processes, process_index=process)

    def indices(batches: DataLoader) -> list[list[int]]:
        return [batch.tolist() for batch in batches]

    for process in range(processes):
        whole, resumed = loader(process), loader(process)
        first = indices(whole)
        epoch = 1
        second = indices(whole)
        assert second != first
        assert indices(skip_first_batches(resumed, 5)) == second[5:]
        epoch = 0
    seen = {index for process in range(processes) for batch in indices(loader(process))
            for index in batch}  # fmt: skip
    assert seen == set(range(101))


def test_the_tokens_of_samples_are_counted():
    assert token_counts(Dataset.from_dict({"input_ids": [[1, 2, 3], [4], [5, 6]]})) == [3, 1, 2]
