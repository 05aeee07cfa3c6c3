"""The metrics that params.yaml asks for, ready to be taken of samples."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

from finery.evaluation import functions
from finery.evaluation.metrics import (
    bleu,
    call_match,
    chrf,
    exact_match,
    f1,
    json_schema,
    json_valid,
    keyword_match,
    length,
    regex,
    rouge,
    stop_rate,
)
from finery.evaluation.sample import Sample
from finery.params.evaluate import BUILT_IN, EvaluateParams, numbers_of

MODULES: dict[str, ModuleType] = {
    "exact_match": exact_match,
    "call_match": call_match,
    "keyword_match": keyword_match,
    "rouge": rouge,
    "bleu": bleu,
    "chrf": chrf,
    "f1": f1,
    "regex": regex,
    "json_valid": json_valid,
    "json_schema": json_schema,
    "length": length,
    "stop_rate": stop_rate,
}
Scores = dict[str, float | None]


@dataclass(frozen=True)
class Metric:
    """A metric: `numbers` are what it gives, `score` takes those of one sample."""

    name: str
    numbers: Sequence[str]
    score: Callable[[Sample], Scores]
    of_dataset: Callable[[Sequence[Sample]], dict[str, float]] | None = None

    def summary(self, samples: Sequence[Sample], scores: Sequence[Scores]) -> dict[str, float]:
        """The numbers of a dataset; one that no sample of it has is not there."""
        having = [s for s, found in zip(samples, scores, strict=True) if self._has(found)]
        if self.of_dataset:
            return self.of_dataset(having) if having else {}
        return dict(self._means(scores))

    def _has(self, scores: Scores) -> bool:
        return all(scores[number] is not None for number in self.numbers)

    def _means(self, scores: Sequence[Scores]) -> Iterator[tuple[str, float]]:
        for number in self.numbers:
            if found := [each[number] for each in scores if each[number] is not None]:
                yield number, fmean(found)


def metrics_of(params: EvaluateParams, folder: Path) -> list[Metric]:
    """The metrics asked for; `folder` has the user's functions and schemas.

    Raises `MetricError` for a function that cannot be used, `SchemaFileError` for a schema.
    """
    return [_metric(name, taken, folder) for name, taken in params.named]


def _metric(name: str, taken: str | None, folder: Path) -> Metric:
    if name not in BUILT_IN:
        return Metric(name, numbers_of(name), functions.metric(folder, name))
    module = MODULES[name]
    given: Any = taken
    if taken is not None and hasattr(module, "prepare"):
        given = module.prepare(taken, folder)
    score = module.score if taken is None else partial(_given, module.score, given)
    return Metric(name, BUILT_IN[name], score, getattr(module, "of_dataset", None))


def _given(score: Callable[[Sample, Any], Scores], given: Any, sample: Sample) -> Scores:
    return score(sample, given)
