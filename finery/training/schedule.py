"""How many steps a training will have, and whether its learning rate ever gets to its height."""

import math
from collections.abc import Collection

from finery.errors import UserError
from finery.params.optimizers import UNSCHEDULED
from finery.params.pace import devices
from finery.params.schedulers import FLAT, WATCHING
from finery.params.step import StepParams

METHODS_OWN = ("nll", "aux")
"""Losses that are of no dataset."""


class ScheduleError(UserError):
    """The settings and the number of samples leave nothing to learn in."""


def steps(params: StepParams, rows: int) -> int:
    """The steps of all epochs over so many rows, as the Trainer will count them."""
    if params.max_steps is not None:
        return params.max_steps
    each, summed = params.batch
    batches = math.ceil(math.ceil(rows / each) / devices())
    return math.ceil(params.num_train_epochs * math.ceil(batches / summed))


def rising(params: StepParams, total: int) -> int:
    """Over how many of all steps the learning rate rises."""
    if params.warmup_steps is not None:
        return params.warmup_steps
    return math.ceil(total * params.warmup_ratio)


def refuse_schedule(params: StepParams, rows: int) -> None:
    """Raises `ScheduleError` if all steps would be in the warm-up: the first has a rate of zero.

    Or if the batch cannot be divided among the devices.
    """
    if not rows:
        raise ScheduleError(f"{params.key}.data leaves no sample to train on; name other datasets")
    try:
        batch = math.prod(params.batch)
    except ValueError as error:
        raise ScheduleError(f"{params.key}.{error}") from None
    total = steps(params, rows)
    if rising(params, total) < total or not _warms_up(params):
        return
    key = "warmup_ratio" if params.warmup_steps is None else "warmup_steps"
    taken = "the only step" if total == 1 else f"all {total} steps"
    longer = "num_train_epochs" if params.max_steps is None else "max_steps"
    raise ScheduleError(
        f"{params.key}.{key}: {getattr(params, key):g} takes {taken} ({rows} rows, batch {batch}),"
        f" so the learning rate never gets to {params.learning_rate:g}; set it to 0, or raise"
        f" {params.key}.{longer}"
    )


def _warms_up(params: StepParams) -> bool:
    return params.lr_scheduler_type not in FLAT or params.optim in UNSCHEDULED


def refuse_unwatched(params: StepParams, datasets: Collection[str]) -> None:
    """Raises `ScheduleError` if settings wait for what no look at the validation split will show.

    `datasets` are those of which there are samples to validate on.
    """
    watching = "lr_scheduler_type" if params.lr_scheduler_type in WATCHING else params.watched
    if watching is None:
        return
    if not datasets:
        value = str(getattr(params, watching)).lower()
        raise ScheduleError(
            f"{params.key}.{watching}: {value} needs samples to validate on, and there are none;"
            " set data.val_size, or take it out"
        )
    metric = params.metric_for_best_model
    of = metric.removeprefix("eval_").removesuffix("_loss")
    asked = metric in (f"eval_{of}_loss", f"{of}_loss") and of not in METHODS_OWN
    if asked and (of not in datasets or len(datasets) == 1):
        known = ["eval_loss", *(f"eval_{name}_loss" for name in sorted(datasets))]
        raise ScheduleError(
            f"{params.key}.metric_for_best_model: no {metric} is measured; there are"
            f" {', '.join(known if len(datasets) > 1 else known[:1])}"
        )


def refuse_late_stop(params: StepParams, total: int) -> None:
    """Raises `ScheduleError` if all of the `total` steps are over before it could stop early."""
    if (patience := params.early_stopping_patience) is None:
        return
    if (earliest := (patience + 1) * params.eval_steps) >= total:
        raise ScheduleError(
            f"{params.key}.early_stopping_patience: {patience} looks after the first end at step"
            f" {earliest}, and the training at {total}; lower {params.key}.eval_steps"
        )
