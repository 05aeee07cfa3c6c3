"""How many steps a training will have, and whether its learning rate ever gets to its height."""

import math
import os

from finery.errors import UserError
from finery.params.step import StepParams


class ScheduleError(UserError):
    """The settings and the number of samples leave nothing to learn in."""


def steps(params: StepParams, rows: int) -> int:
    """The steps of all epochs over so many rows, as the Trainer will count them."""
    processes = int(os.environ.get("WORLD_SIZE", 1))
    batches = math.ceil(math.ceil(rows / params.per_device_batch_size) / processes)
    each_epoch = math.ceil(batches / params.gradient_accumulation_steps)
    return math.ceil(params.num_train_epochs * each_epoch)


def refuse_schedule(params: StepParams, rows: int) -> None:
    """Raises `ScheduleError` if all steps would be in the warm-up: the first has a rate of zero."""
    if not rows:
        raise ScheduleError(f"{params.key}.data leaves no sample to train on; name other datasets")
    total = steps(params, rows)
    rising = math.ceil(total * params.warmup_ratio)
    if rising < total or params.lr_scheduler_type == "constant":
        return
    taken = "the only step" if total == 1 else f"all {total} steps"
    batch = params.per_device_batch_size * params.gradient_accumulation_steps
    raise ScheduleError(
        f"{params.key}.warmup_ratio: {params.warmup_ratio:g} takes {taken} ({rows} rows, batch"
        f" {batch}), so the learning rate never gets to {params.learning_rate:g}; set it to 0, or"
        f" raise {params.key}.num_train_epochs"
    )
