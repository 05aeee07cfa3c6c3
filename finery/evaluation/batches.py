"""Batches that fit: halved by themselves when the GPU's memory runs out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from finery.errors import PipelineError


class EvaluationError(PipelineError):
    """A model could not be evaluated."""


def batches(items: Sequence[Any], size: int, what: str) -> Iterator[Sequence[Any]]:
    """Slices of at most `size` items, with a progress bar."""
    from tqdm import tqdm

    starts = range(0, len(items), size)
    return (items[start : start + size] for start in tqdm(starts, desc=what, mininterval=1))


def fitting(work: Callable[[Sequence[Any]], list[Any]], parts: Iterable[Sequence[Any]]) -> list:
    """The results of `work` over every part, in order; a part too large for memory is halved."""
    results: list[Any] = []
    for part in parts:
        results += _halving(work, part)
    return results


def _halving(work: Callable[[Sequence[Any]], list[Any]], part: Sequence[Any]) -> list[Any]:
    import torch

    try:
        return work(part)
    except torch.OutOfMemoryError:
        if len(part) == 1:
            raise EvaluationError(
                "a single test does not fit into the GPU's memory; free it or shorten the tests"
            ) from None
    torch.cuda.empty_cache()
    middle = len(part) // 2
    return _halving(work, part[:middle]) + _halving(work, part[middle:])
