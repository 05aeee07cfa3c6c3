"""ROUGE-1, -2 and -L: words, pairs of words and runs of them that two texts have in common."""

from finery.evaluation.sample import Sample
from finery.evaluation.wording import reading, words

ROUGE = ("rouge1", "rouge2", "rougeL")


def score(sample: Sample) -> dict[str, float | None]:
    if not sample.text:
        return dict.fromkeys(ROUGE)
    return rouge(sample.answer, sample.reference)


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


class _Lines:
    """The tokenizer interface of rouge_score, for words that are found already."""

    def tokenize(self, text: str) -> list[str]:
        return text.split("\n") if text else []
