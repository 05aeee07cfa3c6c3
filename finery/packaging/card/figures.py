"""Measured numbers as a person reads them: rounded, and by words instead of keys."""

from collections.abc import Mapping
from typing import Any

NOISE = 1e-7  # below the resolution of float32, in which all of them are measured
WORDS = {
    "max_logit_difference": "largest difference of logits to base + adapter",
    "relative_difference": "relative difference of logits",
    "kl_divergence": "KL divergence, in nats",
    "top1_agreement": "share of tokens with the same first choice",
    "exact": "before its weights are rounded",
    "rounded": "and after",
    "trained": "beside what was trained, in its few bits",
    "train_loss": "training loss at the end",
    "eval_loss": "validation loss at the end",
    "turn_ends_predicted": "share of turns whose end is the likeliest token there",
    "turn_ends_probability": "probability of the end where a turn ends",
    "answers_ended": "share of answers that came to an end",
    "turns_not_ended": "it does not end its turns",
}


def figure(value: float | None, digits: int = 3) -> str:
    """A measured number with so many significant digits; noise around zero is 0, None nothing."""
    if value is None:
        return ""
    return "0" if abs(value) < NOISE else f"{value:.{digits}g}"


def words(key: str) -> str:
    """What a key of a record means; one that is not known is its own words."""
    return WORDS.get(key, key.replace("_", " "))


def fidelity(record: Mapping[str, Any]) -> list[list[str]]:
    """The rows of a table, its head first: a column for each comparison in a merge's record.

    All of these are distances or shares: what is below zero is noise.
    """
    compared = {key: values for key, values in record.items() if isinstance(values, dict)}
    measures = dict.fromkeys(name for values in compared.values() for name in values)
    rows = [["merged model", *map(words, compared)]]
    for name in measures:
        found = [values.get(name) for values in compared.values()]
        rows.append([words(name), *(figure(None if x is None else max(x, 0.0)) for x in found)])
    return rows


def said(measured: Mapping[str, Any]) -> list[str]:
    """Figures of a record in words, such as "training loss at the end: 0.144"."""
    return [
        f"{words(key)}: {figure(value) if isinstance(value, float) else value}"
        for key, value in measured.items()
        if isinstance(value, int | float | str)
    ]
