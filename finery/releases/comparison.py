"""Two models, sample by sample, on every metric that params.yaml asks for."""

import math
from collections.abc import Sequence
from statistics import fmean

from finery.params.release import LOWER_IS_BETTER, ReleaseParams
from finery.releases.bootstrap import Comparison, bounds, verdict
from finery.releases.errors import NotPaired, ReleaseError
from finery.samples import Sample, keyed, score


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
    scores = [(score(name, mine), score(name, theirs)) for mine, theirs in pairs]
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
    mine, theirs = keyed(dataset, candidate), keyed(dataset, champion)
    if mine.keys() != theirs.keys():
        raise NotPaired(
            f"{dataset}: {len(mine.keys() - theirs.keys())} test samples are new and"
            f" {len(theirs.keys() - mine.keys())} are gone since the champion was evaluated"
        )
    return [(mine[key], theirs[key]) for key in mine]


def _check(metric: str, scored: Sequence[tuple[float, float]]) -> None:
    if not scored:
        raise ReleaseError(
            f"release.metrics: {metric}: no test sample has a score; give the dataset what"
            " it takes (keyword_match: a `keywords` column; call_match: calls of tools) or compare"
            " on another metric"
        )
    if not all(map(math.isfinite, (score for pair in scored for score in pair))):
        raise ReleaseError(f"{metric}: a sample has no finite score; evaluate the model again")
