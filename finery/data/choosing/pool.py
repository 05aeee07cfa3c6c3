"""The samples of several datasets under one numbering, read in any order, a little at a time."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from finery.data.prepared import parquet_writer
from finery.data.tokens.arrow import integers
from finery.data.tokens.tokenized import Tokenized
from finery.data.tokens.tokenizing import CHUNK, FACTS

PIECE = np.uint64(0x9E3779B97F4A7C15)


class Pool:
    """Samples numbered through: those of the first dataset, then those of the second, ..."""

    def __init__(self, datasets: Sequence[Tokenized]) -> None:
        self._datasets = datasets
        facts = [each.facts() for each in datasets]
        self.facts = facts[0] if len(facts) == 1 else np.concatenate([np.empty(0, FACTS), *facts])
        sizes = list(map(len, facts))
        self.starts = np.cumsum([0, *sizes])
        self._batches = [
            (dataset, number)
            for dataset, each in enumerate(datasets)
            for number in range(len(each.summary["batches"]))
        ]
        batches = [size for each in datasets for size in each.summary["batches"]]
        self._batch_starts = np.cumsum([0, *batches])

    @property
    def keys(self) -> np.ndarray:
        """What each sample says; the pieces of one text differ."""
        return self.facts["key"] + self.facts["piece"].astype(np.uint64) * PIECE

    def of(self, dataset: int) -> np.ndarray:
        """The numbers of a dataset's samples."""
        return np.arange(self.starts[dataset], self.starts[dataset + 1])

    def signatures(self, samples: np.ndarray) -> np.ndarray:
        return np.concatenate([each.signatures() for each in self._datasets])[samples]

    def write(self, file: Path, kind: str, samples: np.ndarray) -> None:
        """Write these samples, in this order, as Parquet."""
        with parquet_writer(file, kind) as writer:
            for table in self._tables(samples):
                writer.write_table(table)
        pa.default_memory_pool().release_unused()

    def _tables(self, samples: np.ndarray) -> Iterator[Any]:
        with ExitStack() as stack:
            readers = [stack.enter_context(each.batches()) for each in self._datasets]

            @lru_cache(2 * len(readers))
            def batch(number: int) -> Any:
                dataset, own = self._batches[number]
                return readers[dataset].get_batch(own)

            for start in range(0, len(samples), CHUNK):
                wanted = samples[start : start + CHUNK]
                home = np.searchsorted(self._batch_starts, wanted, side="right") - 1
                own = wanted - self._batch_starts[home]
                parts = [
                    batch(number).take(integers(own[home == number]))
                    for number in np.unique(home).tolist()
                ]
                # The parts are in the order of the batches; back to the one that is wanted.
                place = np.argsort(np.argsort(home, kind="stable"))
                yield pa.Table.from_batches(parts).take(integers(place))
