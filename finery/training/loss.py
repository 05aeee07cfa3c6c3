"""The loss over the steps: the last one, a CSV for DVC plots and the same as a picture."""

import csv
from pathlib import Path
from typing import Any

COLUMNS = ("step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm")
REWARDS = ("rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins")
MEASURES = ("accuracy", "margin", "reward", "reward_std", "kl", *REWARDS)
"""What some methods log besides, of the training and, behind `eval_`, of the validation."""


def write_csv(log: list[dict[str, Any]], file: Path) -> None:
    """One row a logged step, from the Trainer's `log_history`; a column a measure, some empty."""
    steps: dict[int, dict[str, Any]] = {}
    for entry in log:
        if "loss" in entry or "eval_loss" in entry:
            steps.setdefault(entry["step"], {}).update(entry)
    columns = [*COLUMNS, *_measured(log)]
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(steps[step] for step in sorted(steps))


def last_losses(log: list[dict[str, Any]], until: int | None = None) -> dict[str, float | None]:
    """The last of each loss in the log up to a step, None if there is none, and of what it
    measures besides.
    """
    wanted = {"train_loss": "loss", "eval_loss": "eval_loss"}
    reached = [entry for entry in log if until is None or entry["step"] <= until]
    return {
        name: next((entry[key] for entry in reversed(reached) if key in entry), None)
        for name, key in (wanted | {key: key for key in _measured(log)}).items()
    }


def _measured(log: list[dict[str, Any]]) -> list[str]:
    keys = [f"{split}{name}" for name in MEASURES for split in ("", "eval_")]
    apart = {key for entry in log for key in entry if is_of_dataset(key)}
    return [*sorted(apart), *(key for key in keys if any(key in entry for entry in log))]


def is_of_dataset(key: str) -> bool:
    """Whether it is the validation loss of one dataset."""
    return key.startswith("eval_") and key.endswith("_loss") and key != "eval_loss"


def write_png(log: list[dict[str, Any]], file: Path) -> None:
    """Training and validation loss over the steps; the same log gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss")
    lines = [("loss", "training", "-"), ("eval_loss", "validation", "o-")]
    apart = sorted({key for entry in log for key in entry if is_of_dataset(key)})
    lines += [(key, key.removeprefix("eval_").removesuffix("_loss"), ".:") for key in apart]
    for key, label, style in lines:
        points = [(entry["step"], entry[key]) for entry in log if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label, markersize=4)
    axes.grid(alpha=0.3)
    axes.legend()
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
