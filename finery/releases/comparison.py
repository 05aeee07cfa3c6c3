"""Two models, sample by sample, on every metric that params.yaml asks for."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from finery.params.release import LOWER_IS_BETTER, ReleaseParams
from finery.releases.bootstrap import Comparison, bounds, verdict
from finery.releases.errors import NotPaired, ReleaseError

Sample = dict[str, Any]
"""A line of reports/samples/NAME.jsonl."""


def compare(
    candidate: Sequence[Sample], champion: Sequence[Sample], params: ReleaseParams
) -> list[Comparison]:
    """A verdict for each of `release.metrics`; see finery.releases.bootstrap for what it means.

    Samples are paired by what was asked: dataset, question, reference and keywords. One that has
    no score (keyword_match where there are no keywords) does not count. `loss` is compared in
    nats an answer, so that its sum follows the metric `loss`, long answers included. Raises
    `NotPaired` if a sample of one side is not on the other, `ReleaseError` if a metric has
    no score at all, or one that is no number.
    """
    return [_compare(metric, candidate, champion, params) for metric in params.metrics]


def _compare(
    metric: str, candidate: Sequence[Sample], champion: Sequence[Sample], params: ReleaseParams
) -> Comparison:
    dataset, _, name = metric.rpartition(".")
    pairs = _paired(dataset, candidate, champion)
    scores = [(_score(name, mine), _score(name, theirs)) for mine, theirs in pairs]
    scored = [(mine, theirs) for mine, theirs in scores if mine is not None and theirs is not None]
    _check(metric, scored)
    sign = -1 if name in LOWER_IS_BETTER else 1
    gains = [sign * (mine - theirs) for mine, theirs in scored]
    low, high = bounds(gains, params.confidence, params.resamples, params.seed)
    return Comparison(
        metric,
        samples=len(gains),
        candidate=fmean(mine for mine, _ in scored),
        champion=fmean(theirs for _, theirs in scored),
        gain=fmean(gains),
        low=low,
        high=high,
        confidence=params.confidence,
        verdict=verdict(gains, low, high),
    )


def _paired(
    dataset: str, candidate: Sequence[Sample], champion: Sequence[Sample]
) -> list[tuple[Sample, Sample]]:
    mine, theirs = dict(_keyed(dataset, candidate)), dict(_keyed(dataset, champion))
    if mine.keys() != theirs.keys():
        raise NotPaired(
            f"{dataset}: {len(mine.keys() - theirs.keys())} test samples are new and"
            f" {len(theirs.keys() - mine.keys())} are gone since the champion was evaluated"
        )
    return [(mine[key], theirs[key]) for key in mine]


def _keyed(dataset: str, samples: Sequence[Sample]) -> Iterator[tuple[tuple, Sample]]:
    """Each sample under what was asked; the same question asked twice is told apart by a count."""
    asked = Counter()
    for sample in samples:
        if dataset in (sample["dataset"], "all"):
            key = (sample["dataset"], sample["question"], sample["reference"])
            key += tuple(sample["keywords"] or ())
            asked[key] += 1
            yield (*key, asked[key]), sample


def _score(name: str, sample: Sample) -> float | None:
    if name == "loss":
        loss, tokens = sample["loss"], sample["reference_tokens"]
        if loss is None:  # of an empty answer there is none; of any other it was no number
            return math.nan if tokens else None
        return loss * tokens
    if name == "unfinished":
        return float(not sample["finished"])
    return sample.get(name)


def _check(metric: str, scored: Sequence[tuple[float, float]]) -> None:
    if not scored:
        raise ReleaseError(
            f"release.metrics: {metric}: no test sample has a score; give the dataset what"
            " it takes (keyword_match: a `keywords` column; call_match: calls of tools) or compare"
            " on another metric"
        )
    if not all(map(math.isfinite, (score for pair in scored for score in pair))):
        raise ReleaseError(f"{metric}: a sample has no finite score; evaluate the model again")
