"""The schedules of the learning rate, by transformers' names, and what each can be told."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

MIN = ("min_lr", "min_lr_rate")
SCHEDULERS = {
    "linear": (),
    "cosine": ("num_cycles",),
    "cosine_with_restarts": ("num_cycles",),
    "cosine_with_min_lr": ("num_cycles", *MIN),
    "cosine_warmup_with_min_lr": ("num_cycles", *MIN, "warmup_lr_rate"),
    "polynomial": ("lr_end", "power"),
    "constant": (),
    "constant_with_warmup": (),
    "inverse_sqrt": ("timescale",),
    "warmup_stable_decay": (
        "num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio",
        "num_cycles",
    ),
    "reduce_lr_on_plateau": (
        "mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps",
    ),
    "greedy": (
        "mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "warmup",
        "min_lr", "max_lr", "eps", "smooth", "window_size", "reset_start",
    ),
}  # fmt: skip
NEEDED = {
    "cosine_with_min_lr": MIN,
    "cosine_warmup_with_min_lr": MIN,
    "warmup_stable_decay": ("num_decay_steps",),
}
"""One of these."""
WATCHING = ("reduce_lr_on_plateau", "greedy")
"""They follow the loss on the validation split, and have no warm-up."""
FLAT = ("constant", *WATCHING)
"""They begin at their height."""
WORDS = {
    "mode": ("min", "max"),
    "threshold_mode": ("rel", "abs"),
    "warmup_type": ("linear", "cosine", "1-sqrt"),
    "decay_type": ("linear", "cosine", "1-sqrt"),
    "smooth": (True, False),
}
"""What is no number."""
COUNTS = ("num_decay_steps", "num_stable_steps", "patience", "cooldown", "warmup", "timescale",
          "window_size", "reset_start")  # fmt: skip


def scheduler_problems(name: str, kwargs: Mapping[str, Any], rate: float) -> Iterator[str]:
    """What is wrong with the `lr_scheduler_kwargs` of a schedule, of this learning rate at most."""
    for key, value in kwargs.items():
        if key not in SCHEDULERS[name]:
            yield f"lr_scheduler_kwargs.{key}: {_unknown(name, key)}"
        elif problem := _value_problem(key, value):
            yield f"lr_scheduler_kwargs.{key}: {problem}"
    if (needed := NEEDED.get(name)) and not set(needed) & set(kwargs):
        yield f"lr_scheduler_kwargs: {name} needs {' or '.join(needed)}"
    if set(MIN) <= set(kwargs):
        yield f"lr_scheduler_kwargs: {' and '.join(MIN)} say the same; take one out"
    for key in ("min_lr", "lr_end"):
        floor = kwargs.get(key, 1e-7 if (name, key) == ("polynomial", "lr_end") else None)
        if isinstance(floor, float | int) and floor >= rate:
            yield f"lr_scheduler_kwargs.{key}: {floor:g} is not below learning_rate ({rate:g})"


def _unknown(name: str, key: str) -> str:
    known = SCHEDULERS[name]
    if not known:
        return f"{name} takes none; take it out"
    near = difflib.get_close_matches(key, known, n=1)
    return f"{name} has none such; " + (
        f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    )


def _value_problem(key: str, value: Any) -> str | None:
    if key in WORDS:
        fits, wanted = value in WORDS[key], " or ".join(str(word).lower() for word in WORDS[key])
    elif key in COUNTS:
        fits, wanted = _is_number(value, int), "a whole number from 0"
    else:
        fits, wanted = _is_number(value, int | float), "a number from 0"
    return None if fits else f"must be {wanted}, not {value}"


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and value >= 0
