"""From answers and losses to one line a sample and the metrics of each dataset."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from finery.errors import UserError
from finery.evaluation.loss import perplexity
from finery.evaluation.scores import ROUGE, bleu, exact_match, keyword_match, rouge
from finery.evaluation.wording import spoken
from finery.inference.answers import Answer

MEANS = ("exact_match", "call_match", "keyword_match", *ROUGE)


class NothingToTest(UserError):
    """There is no test to put to a model."""


def refuse_nothing(tests: Sequence[dict[str, Any]], file: Path) -> None:
    """Raises `NothingToTest` if there are no tests."""
    if not tests:
        raise NothingToTest(f"{file}: holds no tests; look at data.test and run prepare again")


def sample_report(
    test: dict[str, Any], answer: Answer, loss: tuple[float, int], call_match: float | None = None
) -> dict[str, Any]:
    """One line of the samples file: the question, both answers and every score of this one.

    `call_match` is None unless the reference calls tools: then it says whether the answer is the
    right one, and there are no texts to compare. Only what is said after a thought is scored. A
    score is None where it means nothing.
    """
    reference, calls = test["reference"], call_match is not None
    answered = answer.written if calls else answer.text
    text = spoken(answered)
    return {
        "dataset": test["dataset"],
        "question": test["question"],
        "reference": reference,
        "answer": answered,
        "keywords": test["keywords"],
        "exact_match": call_match if calls else exact_match(text, reference),
        "call_match": call_match,
        "keyword_match": keyword_match(text, test["keywords"]),
        **(dict.fromkeys(ROUGE) if calls else rouge(text, reference)),
        "loss": loss[0] / loss[1] if loss[1] else None,
        "reference_tokens": loss[1],
        "answer_tokens": answer.tokens,
        "finished": answer.finished,
    }


def metrics(samples: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The metrics of each dataset and, as `all`, of every sample together.

    `loss` is nats a token over the dataset's reference tokens; `bleu` is 0 to 100, the other
    scores and `unfinished` (answers cut at the length limit) are shares of 1. A metric that no
    sample of a dataset has is not there.
    """
    names = list(dict.fromkeys(sample["dataset"] for sample in samples))
    groups = {name: [s for s in samples if s["dataset"] == name] for name in names}
    return {name: _metrics(group) for name, group in (groups | {"all": list(samples)}).items()}


def _metrics(samples: Sequence[dict[str, Any]]) -> dict[str, float]:
    result: dict[str, float] = {"samples": len(samples)}
    if tokens := sum(sample["reference_tokens"] for sample in samples):
        counted = [sample for sample in samples if sample["reference_tokens"]]
        loss = sum(sample["loss"] * sample["reference_tokens"] for sample in counted) / tokens
        result |= {"loss": loss, "perplexity": perplexity(loss)}
    for name in MEANS:
        scores = [sample[name] for sample in samples if sample.get(name) is not None]
        if scores:
            result[name] = fmean(scores)
    if texts := [
        (spoken(s["answer"]), s["reference"]) for s in samples if s.get("call_match") is None
    ]:
        result["bleu"] = bleu(*zip(*texts, strict=True))
    if samples:
        result["unfinished"] = fmean(not sample["finished"] for sample in samples)
    return {name: round(value, 6) for name, value in result.items()}
