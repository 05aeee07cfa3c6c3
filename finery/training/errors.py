"""What can go wrong while training, in the user's words."""

from collections.abc import Iterator
from contextlib import contextmanager

from finery.errors import PipelineError


class TrainingError(PipelineError):
    """Training stopped; the checkpoints are kept."""


@contextmanager
def training_errors() -> Iterator[None]:
    """Turn an out-of-memory error of the GPU into one line that says what to change."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        raise TrainingError(
            "the GPU ran out of memory; halve train.per_device_batch_size and double"
            " train.gradient_accumulation_steps, or set train.gradient_checkpointing: true"
        ) from None
