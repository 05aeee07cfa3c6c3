"""What can go wrong while training, in the user's words."""

from collections.abc import Iterator
from contextlib import contextmanager

from finery.errors import PipelineError


class TrainingError(PipelineError):
    """Training stopped; the checkpoints are kept."""


@contextmanager
def training_errors(key: str) -> Iterator[None]:
    """Turn an out-of-memory error of the GPU into one line that says what to change.

    `key` is where the step's settings are, such as train.sft.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        raise TrainingError(
            f"the GPU ran out of memory; halve {key}.per_device_batch_size and double"
            f" {key}.gradient_accumulation_steps (or leave it to {key}.effective_batch_size), or"
            f" set {key}.gradient_checkpointing: true"
        ) from None
