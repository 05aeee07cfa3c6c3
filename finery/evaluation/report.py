"""From answers and losses to one line a sample and the metrics of each dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from finery.errors import UserError
from finery.evaluation.loss import perplexity
from finery.evaluation.measuring import Metric, Scores
from finery.evaluation.sample import Sample


class NothingToTest(UserError):
    """There is no test to put to a model."""


@dataclass(frozen=True)
class Scored:
    """A sample, what each metric gives for it, and its loss: summed in nats, and over how many
    tokens of the reference.
    """

    sample: Sample
    scores: Sequence[Scores]
    loss: tuple[float, int]

    def line(self) -> dict[str, Any]:
        """One line of the samples file: the question, both answers and every score of this one.

        A score is None where it means nothing.
        """
        summed, tokens = self.loss
        return {
            "dataset": self.sample.dataset,
            "question": self.sample.question,
            "reference": self.sample.reference,
            "answer": self.sample.raw,
            "keywords": list(self.sample.keywords),
            **{number: value for each in self.scores for number, value in each.items()},
            "loss": summed / tokens if tokens else None,
            "reference_tokens": tokens,
            "answer_tokens": self.sample.tokens,
            "finished": self.sample.finished,
        }


def refuse_nothing(tests: Sequence[dict[str, Any]], file: Path) -> None:
    """Raises `NothingToTest` if there are no tests."""
    if not tests:
        raise NothingToTest(f"{file}: holds no tests; look at data.test and run prepare again")


def summarize(scored: Sequence[Scored], metrics: Sequence[Metric]) -> dict[str, dict[str, float]]:
    """The numbers of each dataset and, as `all`, of every sample together.

    `loss` is nats a token over the dataset's reference tokens; `bleu` and `chrf` are 0 to 100, the
    other scores of Finery's and `unfinished` (answers cut at the length limit) are shares of 1. A
    number that no sample of a dataset has is not there.
    """
    names = list(dict.fromkeys(each.sample.dataset for each in scored))
    groups = {name: [each for each in scored if each.sample.dataset == name] for name in names}
    groups["all"] = list(scored)
    return {name: _summary(group, metrics) for name, group in groups.items()}


def _summary(group: Sequence[Scored], metrics: Sequence[Metric]) -> dict[str, float]:
    result: dict[str, float] = {"samples": len(group)}
    if tokens := sum(each.loss[1] for each in group):
        loss = sum(each.loss[0] for each in group if each.loss[1]) / tokens
        result |= {"loss": loss, "perplexity": perplexity(loss)}
    samples = [each.sample for each in group]
    for index, metric in enumerate(metrics):
        result |= metric.summary(samples, [each.scores[index] for each in group])
    if group:
        result["unfinished"] = fmean(not sample.finished for sample in samples)
    return {name: round(value, 6) for name, value in result.items()}
