"""Metrics of the user's: functions that give a number for a sample, metrics/FILE.py:NAME."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.evaluation.sample import Sample, position
from finery.inference.answers import Answer
from finery.user_functions import Failed, guarded, loaded, number

TRIED = 8
"""Tests whose references, and answers of nothing, are scored before a model is asked."""


class MetricError(UserError):
    """A metric of the user's failed, or gave something that is no number."""


def metric(folder: Path, named: str) -> Callable[[Sample], dict[str, float | None]]:
    """A metric as those of finery.evaluation.metrics are. Raises `MetricError`.

    What it makes then raises `MetricError` for a sample that the function cannot score.
    """
    said, _, name = named.partition(":")
    file = folder.joinpath(*Path(said).parts[1:])
    try:
        function = loaded(file, name)
    except Failed as failed:
        raise MetricError(f"evaluate.metrics: {named}{failed}") from failed

    def score(sample: Sample) -> dict[str, float | None]:
        try:
            value = guarded(file, function, sample)
            return {name: None if value is None else number(value)}
        except Failed as failed:
            due = "" if failed.__cause__ else "; a finite number is due, or None where it has none"
            raise MetricError(f"evaluate.metrics: {named}{failed}{due}") from failed

    return score


def scored(
    metrics: Sequence[Any], tests: Sequence[dict[str, Any]], samples: Sequence[Sample]
) -> list[list[dict[str, float | None]]]:
    """For each sample of a test, what each metric gives. Raises `MetricError` with the sample."""
    return [
        [_scored(metric, tests, index, sample) for metric in metrics]
        for index, sample in enumerate(samples)
    ]


def try_on(metrics: Sequence[Any], tests: Sequence[dict[str, Any]]) -> None:
    """Score the first references, and an answer that says nothing. Raises `MetricError`."""
    for text in (None, ""):
        said = [test["reference"] if text is None else text for test in tests[:TRIED]]
        answers = [Answer(each, len(each), finished=True, written=each) for each in said]
        samples = [
            Sample.of(test, answer, 1.0 if test.get("calls") else None)
            for test, answer in zip(tests, answers, strict=False)
        ]
        scored(metrics, tests, samples)


def _scored(
    metric: Any, tests: Sequence[dict[str, Any]], index: int, sample: Sample
) -> dict[str, float | None]:
    try:
        return metric.score(sample)
    except MetricError as error:
        answer = " ".join(sample.answer.split())
        cut = answer if len(answer) <= 60 else answer[:57] + "..."
        raise MetricError(f"{error}; {position(tests, index)}, answer {cut!r}") from None
