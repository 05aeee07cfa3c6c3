"""Batches that fit: halved by themselves when the GPU's memory runs out."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

from finery.errors import PipelineError


class DoesNotFit(PipelineError):
    """The memory is not enough for a single prompt."""


def batches(items: Sequence[Any], size: int, what: str) -> Generator[Sequence[Any]]:
    """Slices of at most `size` items, with a progress bar."""
    from tqdm import tqdm

    for start in tqdm(range(0, len(items), size), desc=what, mininterval=1):
        yield items[start : start + size]


def fitting(work: Callable[[Sequence[Any]], list[Any]], parts: Generator[Sequence[Any]]) -> list:
    """The results of `work` over every part, in order; a part too large for memory is halved."""
    results: list[Any] = []
    with closing(parts):  # an error begins below the bar, not behind it
        for part in parts:
            results += _halving(work, part)
    return results


def _halving(work: Callable[[Sequence[Any]], list[Any]], part: Sequence[Any]) -> list[Any]:
    import torch

    try:
        return work(part)
    except torch.OutOfMemoryError:
        if len(part) == 1:
            raise DoesNotFit(
                "a single prompt does not fit into the GPU's memory; free it or shorten the prompt"
            ) from None
    torch.cuda.empty_cache()
    middle = len(part) // 2
    return _halving(work, part[:middle]) + _halving(work, part[middle:])
