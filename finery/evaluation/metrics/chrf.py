"""chrF: runs of one to six letters that answers and references have in common, in any script."""

from collections.abc import Sequence

from finery.evaluation.sample import Sample


def score(sample: Sample) -> dict[str, float | None]:
    if not sample.text:
        return {"chrf": None}
    return {"chrf": chrf([sample.answer], [sample.reference])}


def of_dataset(samples: Sequence[Sample]) -> dict[str, float]:
    return {"chrf": chrf([s.answer for s in samples], [s.reference for s in samples])}


def chrf(answers: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF2, 0 to 100 (Popović 2015, https://aclanthology.org/W15-3049), by sacrebleu."""
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().corpus_score(list(answers), [list(references)]).score)
