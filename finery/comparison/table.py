"""The numbers of a dataset for all models: with intervals, paired differences, and recovery."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from finery.comparison.numbers import PERPLEXITY, direction, is_of, number, numbers, parts
from finery.comparison.resampling import CONFIDENCE, chance, interval, resampled, wilson
from finery.comparison.variants import ALL, BASE, Variant

Sums = dict[tuple[str, str], Any]
"""By model and number."""
Verdict = Literal["better", "worse", "different", "equal", "open"]
"""`different`: neither more nor less is better; `open`: the samples do not show a difference."""


@dataclass(frozen=True)
class Estimate:
    """A number, and between which bounds it is; None if it cannot be resampled."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """What a model has more than another; `p` is how likely so much is if there is none."""

    number: str
    gain: Estimate
    p: float
    verdict: Verdict


@dataclass(frozen=True)
class Pair:
    """A model against another. `recovery` is what a model made from the other has kept of it."""

    name: str
    other: str
    differences: list[Difference]
    recovery: dict[str, Estimate] = field(default_factory=dict)

    @property
    def outcome(self) -> dict[str, int]:
        """In how many numbers the model is better, worse, and neither."""
        verdicts = [each.verdict for each in self.differences]
        found = {"better": verdicts.count("better"), "worse": verdicts.count("worse")}
        return found | {"count": len(verdicts), "open": len(verdicts) - sum(found.values())}


@dataclass(frozen=True)
class Table:
    """The models on a dataset; `cells` are by model and number."""

    dataset: str
    samples: int
    numbers: list[str]
    cells: dict[str, dict[str, Estimate]]
    pairs: list[Pair]


def table(variants: Sequence[Variant], dataset: str, pairs: Sequence[tuple[str, str]]) -> Table:
    """The numbers of a dataset, and for each pair of names how the first differs from the other."""
    chosen = [[s for s in v.samples if dataset in (ALL, s["dataset"])] for v in variants]
    names, sums = numbers(variants, dataset), {}
    for name in names:
        each = [parts(name, samples) for samples in chosen]
        found = zip(each, variants, strict=True)
        if all(p is not None and is_of(name, p, v.metrics[dataset]) for p, v in found):
            sums |= {(v.name, name): p for v, p in zip(variants, each, strict=True)}
    drawn = _drawn(sums)
    cells = {v.name: _cells(v, dataset, names, sums, drawn) for v in variants}
    known = [name for name in names if (variants[0].name, name) in sums]
    compared = [_pair(mine, other, known, cells, sums, drawn) for mine, other in pairs]
    return Table(dataset, len(chosen[0]), names, cells, compared)


def _cells(
    variant: Variant, dataset: str, names: Sequence[str], sums: Sums, drawn: Sums
) -> dict[str, Estimate]:
    values = variant.metrics[dataset]
    keys = [(variant.name, name) for name in names]
    return {
        key[1]: _estimate(key[1], values[key[1]], sums.get(key), drawn.get(key)) for key in keys
    }


def _drawn(sums: Sums) -> Sums:
    """Each number as it comes about when samples are drawn again: all from the same draws."""
    if not sums:
        return {}
    totals = resampled(np.concatenate(list(sums.values()), axis=1))
    return {
        key: number(key[1], totals[:, 2 * at], totals[:, 2 * at + 1]) for at, key in enumerate(sums)
    }


def _estimate(name: str, value: float, sums: Any, drawn: Any) -> Estimate:
    if drawn is None:
        return Estimate(value)
    scores = sums[sums[:, 1] > 0]
    if name != PERPLEXITY and np.isin(scores[:, 0], (0, 1)).all() and (scores[:, 1] == 1).all():
        return Estimate(value, *wilson(scores[:, 0].sum(), len(scores)))
    return Estimate(value, *interval(drawn))


def _pair(
    mine: str,
    other: str,
    names: Sequence[str],
    cells: dict[str, dict[str, Estimate]],
    sums: Sums,
    drawn: Sums,
) -> Pair:
    gains = [_gains(sums[mine, name], sums[other, name]) for name in names]
    chances = chance(np.stack(gains, axis=1)) if names else []
    differences, recovery = [], {}
    for name, gain, p in zip(names, gains, chances, strict=True):
        value, base = cells[mine][name].value, cells[other][name].value
        bounds = interval(drawn[mine, name] - drawn[other, name])
        found = Estimate(value - base, *bounds)
        differences.append(Difference(name, found, float(p), _verdict(name, gain, float(p))))
        if other != BASE and direction(name) and name != "unfinished" and base > 0:
            recovery[name] = _recovery(name, value, base, drawn[mine, name], drawn[other, name])
    return Pair(mine, other, differences, recovery)


def _gains(mine: Any, other: Any) -> Any:
    """Of the samples that both have a score of."""
    both = (mine[:, 1] > 0) & (other[:, 1] > 0)
    return np.where(both, mine[:, 0] - other[:, 0], 0.0)


def _recovery(name: str, value: float, base: float, mine: Any, other: Any) -> Estimate:
    """What is left of the other's number, as a share; of one that should be low, the reverse."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if direction(name) < 0:
            return Estimate(base / value, *interval(other / mine))
        return Estimate(value / base, *interval(mine / other))


def _verdict(name: str, gains: Any, p: float) -> Verdict:
    if not gains.any():
        return "equal"
    if p > 1 - CONFIDENCE:
        return "open"
    if not direction(name):
        return "different"
    return "better" if gains.sum() * direction(name) > 0 else "worse"
