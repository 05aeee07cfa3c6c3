"""The numbers of a report: which there are, which way is better, and what they are sums of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from finery.comparison.variants import Variant
from finery.params.evaluate import TAKEN
from finery.samples import Sample, score

PERPLEXITY = "perplexity"
LOWER = ("perplexity", "unfinished")
NEITHER = ("length",)
SHARES = (
    "exact_match", "call_match", "keyword_match", "rouge1", "rouge2", "rougeL", "precision",
    "recall", "f1", "regex", "json_valid", "json_schema", "stop_rate", "unfinished",
)  # fmt: skip
"""Of 1: shown in per cent."""
DECIMALS = 6
"""Of metrics.json."""


def numbers(variants: Sequence[Variant], dataset: str) -> list[str]:
    """The numbers that all models have for a dataset, `loss` as perplexity alone."""
    each = [variant.metrics.get(dataset, {}) for variant in variants]
    common = [name for name in each[0] if all(_is_number(found.get(name)) for found in each)]
    return [name for name in common if name not in ("samples", "loss")]


def direction(name: str) -> int:
    """1 if more is better, -1 if less is, 0 if neither."""
    return 0 if name in NEITHER else -1 if name in LOWER else 1


def shown(name: str, value: float, difference: bool = False) -> str:
    """A number as it is read: shares in per cent, differences of them in points of it."""
    if not np.isfinite(value):
        return "–"
    digits = 1 if name in SHARES or abs(value) >= 10 else 3
    scaled = round(100 * value if name in SHARES else value, digits) or 0.0  # no minus zero
    plus = "+" if difference and scaled else ""
    unit = "" if name not in SHARES else " pp" if difference else " %"
    return f"{scaled:{plus}.{digits}f}{unit}".replace("-", "−")


def parts(name: str, samples: Sequence[Sample]) -> Any | None:
    """A matrix (samples x 2) whose sums, one by the other, are the number of a dataset.

    Perplexity is exp of that. None if the number is not of this kind: it cannot be resampled.
    """
    of = "loss" if name == PERPLEXITY else name
    if of in TAKEN and of not in ("loss", "unfinished"):
        return None
    values = [score(of, sample) for sample in samples]
    if any(value is not None and not _is_number(value) for value in values):
        return None
    scores = np.array([0.0 if value is None else value for value in values])
    counted = np.array([float(value is not None) for value in values])
    if of == "loss":
        counted = counted * np.array([float(sample["reference_tokens"]) for sample in samples])
    return np.stack([scores, counted], axis=1)


def is_of(name: str, sums: Any, metrics: dict[str, Any]) -> bool:
    """Whether the sums over all samples give what metrics.json has: corpus BLEU is no mean."""
    top, count = sums.sum(0)
    near = 2 * 10**-DECIMALS * max(1.0, abs(metrics[name]))  # a large one in no more digits
    return bool(count) and bool(abs(number(name, top, count) - metrics[name]) <= near)


def number(name: str, top: Any, count: Any) -> Any:
    """Of sums over samples, the number; NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.asarray(top) / np.asarray(count)
        return np.exp(ratio) if name == PERPLEXITY else ratio


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
