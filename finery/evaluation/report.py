"""From answers and losses to one line a sample and the metrics of each dataset."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from finery.evaluation.answers import Answer
from finery.evaluation.loss import perplexity
from finery.evaluation.scores import bleu, exact_match, keyword_match, rouge

MEANS = ("exact_match", "keyword_match", "rouge1", "rouge2", "rougeL")


def sample_report(test: dict[str, Any], answer: Answer, loss: tuple[float, int]) -> dict[str, Any]:
    """One line of the samples file: the question, both answers and every score of this one."""
    reference, text = test["reference"], answer.text
    return {
        "dataset": test["dataset"],
        "question": test["question"],
        "reference": reference,
        "answer": text,
        "keywords": test["keywords"],
        "exact_match": exact_match(text, reference),
        "keyword_match": keyword_match(text, test["keywords"]),
        **rouge(text, reference),
        "loss": loss[0] / loss[1],
        "reference_tokens": loss[1],
        "answer_tokens": answer.tokens,
        "finished": answer.finished,
    }


def metrics(samples: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The metrics of each dataset and, as `all`, of every sample together.

    `loss` is nats a token over the dataset's reference tokens; `bleu` is 0 to 100, the other
    scores and `unfinished` (answers cut at the length limit) are shares of 1.
    """
    names = list(dict.fromkeys(sample["dataset"] for sample in samples))
    groups = {name: [s for s in samples if s["dataset"] == name] for name in names}
    return {name: _metrics(group) for name, group in (groups | {"all": list(samples)}).items()}


def _metrics(samples: Sequence[dict[str, Any]]) -> dict[str, float]:
    tokens = sum(sample["reference_tokens"] for sample in samples)
    loss = sum(sample["loss"] * sample["reference_tokens"] for sample in samples) / tokens
    result: dict[str, float] = {"samples": len(samples), "loss": loss}
    result["perplexity"] = perplexity(loss)
    for name in MEANS:
        scores = [sample[name] for sample in samples if sample[name] is not None]
        if scores:
            result[name] = fmean(scores)
    answers, references = zip(*((s["answer"], s["reference"]) for s in samples), strict=True)
    result["bleu"] = bleu(answers, references)
    result["unfinished"] = fmean(not sample["finished"] for sample in samples)
    return {name: round(value, 6) for name, value in result.items()}
