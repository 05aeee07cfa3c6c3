"""Scores of answers against references: BLEU, ROUGE, exact and keyword match."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import regex

from finery.evaluation.wording import Reading, folded, plain, reading, words

BLEU_TOKENIZERS: dict[Reading, str] = {
    "words": "13a", "foreign": "intl", "chinese": "zh", "characters": "char",
}  # fmt: skip
"""sacrebleu's tokenizers; those that it recommends for Japanese and Korean are not at hand."""
ROUGE = ("rouge1", "rouge2", "rougeL")
BEFORE_A_NUMBER, AFTER_A_NUMBER = r"(?<!\d)(?<!\d[.,])(?<!(?<!\w)-)", r"(?![.,]?\d)"


def exact_match(answer: str, reference: str) -> float:
    """1.0 if the two say the same (see `plain`); an answer that says nothing never does."""
    said = plain(answer)
    return float(bool(said) and said == plain(reference))


def keyword_match(answer: str, keywords: Sequence[str]) -> float | None:
    """The share of the keywords that occur in the answer, case aside; None without keywords.

    A keyword may be part of a longer word, a number not of a longer number: 5 is not in 15, -5
    or 5.2.
    """
    if not keywords:
        return None
    text = _spaced(answer)
    return sum(_occurs(_spaced(word), text) for word in keywords) / len(keywords)


def rouge(answer: str, reference: str) -> dict[str, float]:
    """ROUGE-1, -2 and -L F-measures (Lin 2004) over the words that `exact_match` compares.

    Chinese is cut into words by jieba, Japanese, Korean and Thai into letters. The same words have
    1.0, also where they are too few for a pair.
    """
    from rouge_score.rouge_scorer import RougeScorer

    how = reading(reference)
    said, expected = words(answer, how), words(reference, how)
    if said and said == expected:
        return dict.fromkeys(ROUGE, 1.0)
    scores = RougeScorer(ROUGE, tokenizer=_Lines()).score("\n".join(expected), "\n".join(said))
    return {name: float(score.fmeasure) for name, score in scores.items()}


def bleu(answers: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU, 0 to 100 (Papineni et al. 2002), each pair cut up as its reference's script is.

    Where all answers are shorter than four words, only the runs of words that they have count
    (sacrebleu's effective order), so that the same texts have 100 whatever their length.
    """
    from sacrebleu.metrics.bleu import BLEU

    cut = [_bleu_tokenizer(BLEU_TOKENIZERS[reading(reference)]) for reference in references]
    said, expected = (
        [tokenize(text.strip()) for tokenize, text in zip(cut, texts, strict=True)]
        for texts in (answers, references)
    )
    metric = BLEU(tokenize="none", effective_order=True, force=True)
    return min(100.0, metric.corpus_score(said, [expected]).score)  # 100.00000000000004


@cache
def _bleu_tokenizer(name: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=name).tokenizer


class _Lines:
    """The tokenizer interface of rouge_score, for words that are found already."""

    def tokenize(self, text: str) -> list[str]:
        return text.split("\n") if text else []


def _occurs(word: str, text: str) -> bool:
    before = BEFORE_A_NUMBER if word[:1].isdigit() else ""
    after = AFTER_A_NUMBER if word[-1:].isdigit() else ""
    return bool(regex.search(before + regex.escape(word) + after, text))


def _spaced(text: str) -> str:
    return " ".join(folded(text).split())
