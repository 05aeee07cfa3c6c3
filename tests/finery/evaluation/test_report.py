"""From answers and losses to the lines of samples and the metrics of datasets."""

from pathlib import Path

import pytest

from finery.evaluation.measuring import metrics_of
from finery.evaluation.report import Scored, summarize
from finery.evaluation.sample import Sample
from finery.inference.answers import Answer
from finery.params.evaluate import EvaluateParams

METRICS = metrics_of(EvaluateParams(), Path("metrics"))


def sample_report(
    test: dict, answer: Answer, loss: tuple[float, int], call_match: float | None = None
) -> Scored:
    sample = Sample.of(test, answer, call_match)
    return Scored(sample, [metric.score(sample) for metric in METRICS], loss)


def metrics(samples: list[Scored]) -> dict:
    return summarize(samples, METRICS)


def report(
    dataset: str, loss: tuple[float, int], keywords: list[str], finished: bool = True
) -> Scored:
    test = {"dataset": dataset, "question": "q", "reference": "Saltmere", "keywords": keywords}
    return sample_report(test, Answer("Saltmere", 3, finished), loss)


def test_the_loss_of_a_dataset_is_a_mean_over_tokens_not_samples():
    samples = [report("a", (3.0, 1), ["x"]), report("a", (1.0, 3), ["Saltmere"], finished=False),
               report("b", (0.0, 4), [])]  # fmt: skip
    found = metrics(samples)
    assert list(found) == ["a", "b", "all"]
    assert (found["a"]["loss"], found["b"]["loss"], found["all"]["loss"]) == (1.0, 0.0, 0.5)
    assert found["a"]["perplexity"] == pytest.approx(2.718282)
    assert (found["a"]["keyword_match"], found["a"]["unfinished"]) == (0.5, 0.5)
    assert "keyword_match" not in found["b"] and found["all"]["keyword_match"] == 0.5
    assert (found["all"]["samples"], found["all"]["exact_match"]) == (3, 1.0)


def test_a_loss_without_bound_is_infinite():
    assert metrics([report("a", (1000.0, 1), [])])["a"]["perplexity"] == float("inf")


@pytest.mark.parametrize(
    "answer, score",
    [
        ("<think>\n\n</think>\n\nSaltmere", 1),
        ("<think>Saltmere?</think> Fennel.", 0),
        ("It is by the sea.\n</think>\n\nSaltmere", 1),
        ("<think>Saltmere", 0),
        ("I think: Saltmere", 0),
    ],
)
def test_what_a_model_thinks_is_not_what_it_says(answer: str, score: float):
    test = {"dataset": "a", "question": "q", "reference": "Saltmere", "keywords": ["Fennel"]}
    found = sample_report(test, Answer(answer, 3, True), (1.0, 2))
    assert (found.line()["exact_match"], found.line()["answer"]) == (score, answer)
    assert found.line()["keyword_match"] == ("Fennel" in answer)
    assert (metrics([found])["a"]["bleu"] == 100) == (score == 1)


def test_a_metric_of_nothing_is_not_there():
    assert metrics([]) == {"all": {"samples": 0}}
    found = metrics([report("a", (0.0, 0), [])])["a"]
    assert not {"loss", "perplexity", "keyword_match", "call_match"} & set(found)
    assert (found["exact_match"], found["bleu"]) == (1, 100)
    both = metrics([report("a", (0.0, 0), []), report("a", (2.0, 4), [])])["a"]
    assert both["loss"] == 0.5


def test_calls_are_not_scored_as_texts():
    test = {"dataset": "c", "question": "q", "reference": "[]", "keywords": ["Oslo"]}
    answer = Answer("", 3, True, "<tool_call>Oslo</tool_call>")
    right = sample_report(test, answer, (1.0, 2), call_match=1.0)
    wrong = sample_report(test, Answer("", 0, True), (1.0, 2), call_match=0.0)
    assert right.line()["answer"] == answer.written
    found = metrics([right, wrong, report("t", (1.0, 2), [])])
    assert (
        found["c"]["call_match"] == found["c"]["exact_match"] == found["c"]["keyword_match"] == 0.5
    )
    assert not {"bleu", "rouge1", "rouge2", "rougeL"} & set(found["c"])
    assert (found["all"]["call_match"], found["all"]["bleu"]) == (0.5, 100)
    assert found["all"]["exact_match"] == pytest.approx(2 / 3, abs=1e-6)
