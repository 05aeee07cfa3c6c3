"""BLEU: runs of one to four words that answers and references have in common."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from finery.evaluation.sample import Sample
from finery.evaluation.wording import Reading, reading

BLEU_TOKENIZERS: dict[Reading, str] = {
    "words": "13a", "foreign": "intl", "chinese": "zh", "characters": "char",
}  # fmt: skip
"""sacrebleu's tokenizers; those that it recommends for Japanese and Korean are not at hand."""


def score(sample: Sample) -> dict[str, float | None]:
    """Sentence BLEU: that of a text on its own."""
    if not sample.text:
        return {"bleu": None}
    return {"bleu": bleu([sample.answer], [sample.reference])}


def of_dataset(samples: Sequence[Sample]) -> dict[str, float]:
    pairs = ([s.answer for s in samples], [s.reference for s in samples])
    return {"bleu": bleu(*pairs)}


def bleu(answers: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU, 0 to 100 (Papineni et al. 2002), each pair cut up as its reference's script is.

    Where all answers are shorter than four words, only the runs of words that they have count
    (sacrebleu's effective order), so that the same texts have 100 whatever their length.
    """
    from sacrebleu.metrics.bleu import BLEU

    cut = [_tokenizer(BLEU_TOKENIZERS[reading(reference)]) for reference in references]
    said, expected = (
        [tokenize(text.strip()) for tokenize, text in zip(cut, texts, strict=True)]
        for texts in (answers, references)
    )
    metric = BLEU(tokenize="none", effective_order=True, force=True)
    return min(100.0, metric.corpus_score(said, [expected]).score)  # 100.00000000000004


@cache
def _tokenizer(name: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=name).tokenizer
