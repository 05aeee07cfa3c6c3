"""`train.STEP`: in which batches a step trains, for how long, when it looks and when it stops."""

import os
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from finery.params.section import Section

MICRO = 8
"""Samples that a device takes at once, at most, where only the effective batch size is given."""
Count = Annotated[int, Field(ge=1)]


class PaceParams(Section):
    num_train_epochs: Annotated[float, Field(gt=0, le=1000)] = 3
    max_steps: Count | None = None
    """Steps to train for, in the place of num_train_epochs."""
    effective_batch_size: Count | None = None
    """Samples of a step, over all devices. What a device takes at once and how many batches are
    summed follow from it; or give per_device_batch_size too, or the two others without it."""
    per_device_batch_size: Count | None = None
    """Samples that a device takes at once; without effective_batch_size, 1 if it is not given. Of
    several devices each takes at most so many: a step has as many samples as with one."""
    gradient_accumulation_steps: Count | None = None
    """Batches summed into a step; without effective_batch_size, 8 if it is not given."""
    max_tokens_per_batch: Count | Literal["auto"] | None = None
    """Cut a step into parts of at most so many tokens, without padding, in the place of
    per_device_batch_size samples: the step learns the same. auto: 1024 on a CPU where the method
    and the model allow it, and null otherwise. null: as many samples as are said."""
    logging_steps: Count = 10
    eval_steps: Count = 100
    """Steps between two looks at the validation loss."""
    save_steps: Count = 100
    """Steps between two checkpoints: what a kill costs at most."""
    early_stopping_patience: Count | None = None
    """Stop after so many looks in a row without a better metric_for_best_model; null: never."""
    early_stopping_threshold: Annotated[float, Field(ge=0)] = 0.0
    """By how much it must be better to count as better."""
    load_best_model_at_end: bool = False
    """Keep the weights of the look with the best metric_for_best_model, not those of the end."""
    metric_for_best_model: str = "eval_loss"
    """eval_loss, eval_DATASET_loss, or what else the method measures on the validation split."""
    greater_is_better: bool | None = None
    """null: false for a metric whose name ends in loss, true for any other."""

    @property
    def batch(self) -> tuple[int, int]:
        """What a device takes at once, and how many of them are summed into a step.

        All devices together take what one alone would: each takes fewer at once, or sums fewer.
        Raises `ValueError` if they cannot share it evenly.
        """
        return _split(self, devices())

    @property
    def batch_alone(self) -> tuple[int, int]:
        """The same, if one device trained."""
        return _split(self, 1)

    @property
    def watched(self) -> str | None:
        """The setting that needs the validation split, if there is one."""
        if self.load_best_model_at_end:
            return "load_best_model_at_end"
        return None if self.early_stopping_patience is None else "early_stopping_patience"

    def batch_problems(self) -> Iterator[str]:
        """What is wrong with the three together, a line each."""
        whole, each = self.effective_batch_size, self.per_device_batch_size
        summed = self.gradient_accumulation_steps
        if whole and each and summed:
            yield (
                "effective_batch_size: follows from per_device_batch_size and"
                " gradient_accumulation_steps; take out one of the three"
            )
            return
        part = each or summed
        if whole and part and whole % part:
            key = "per_device_batch_size" if each else "gradient_accumulation_steps"
            of = f"no multiple of {key}, {part}"
            yield f"effective_batch_size: {whole} is {of}; {_near(whole, part)}"


def devices() -> int:
    """How many train together, as torchrun says it; without it, one."""
    return int(os.environ.get("WORLD_SIZE", 1))


def samples_of_a_step(pace: PaceParams) -> int:
    """The effective batch size, however many devices there are."""
    each, summed = pace.per_device_batch_size or 1, pace.gradient_accumulation_steps or 8
    return pace.effective_batch_size or each * summed


def _split(pace: PaceParams, devices: int) -> tuple[int, int]:
    whole, given = samples_of_a_step(pace), pace.effective_batch_size
    if whole % devices:
        of = "" if given else " samples of a step (per_device_batch_size, accumulated)"
        near = _near(whole, devices)
        raise ValueError(
            f"effective_batch_size: {whole}{of} is no multiple of {devices} devices; {near}"
        )
    share = whole // devices
    each, summed = pace.per_device_batch_size, pace.gradient_accumulation_steps
    if given is None:
        each = each or 1
    most = each or (max(1, share // summed) if summed else MICRO)
    each = max(n for n in range(1, most + 1) if share % n == 0)
    return each, share // each


def _near(whole: int, part: int) -> str:
    """The multiples of `part` below and above."""
    below = whole // part * part
    return "take " + " or ".join(str(n) for n in (below, below + part) if n)
