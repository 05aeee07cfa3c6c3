"""Scores of answers against references: BLEU, ROUGE, exact and keyword match."""

import re
import string
import unicodedata
from collections.abc import Sequence

CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
PUNCTUATION = string.punctuation + "，。、；：？！「」『』（）《》“”‘’…"


def exact_match(answer: str, reference: str) -> float:
    """1.0 if the two are equal but for case, punctuation and white space."""
    return float(_plain(answer) == _plain(reference))


def keyword_match(answer: str, keywords: Sequence[str]) -> float | None:
    """The share of the keywords that occur in the answer, case aside; None without keywords."""
    if not keywords:
        return None
    text = _folded(answer)
    return sum(_folded(word) in text for word in keywords) / len(keywords)


def rouge(answer: str, reference: str) -> dict[str, float]:
    """ROUGE-1, -2 and -L F-measures (Lin 2004), over words; Chinese is cut into words by jieba."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=_Words())
    scores = scorer.score(reference, answer)
    return {name: float(score.fmeasure) for name, score in scores.items()}


def bleu(answers: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU, 0 to 100 (Papineni et al. 2002; sacrebleu's tokenizers `13a` and `zh`)."""
    import sacrebleu

    tokenize = "zh" if any(CJK.search(reference) for reference in references) else "13a"
    return sacrebleu.corpus_bleu(list(answers), [list(references)], tokenize=tokenize).score


class _Words:
    """The tokenizer interface of rouge_score."""

    def tokenize(self, text: str) -> list[str]:
        text = _folded(text)
        if CJK.search(text):
            import jieba

            jieba.setLogLevel("ERROR")
            return [word for word in jieba.cut(text) if word.strip(PUNCTUATION + " ")]
        return re.findall(r"\w+", text)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _plain(text: str) -> str:
    table = str.maketrans("", "", PUNCTUATION)
    return " ".join(_folded(text).translate(table).split())
