import pytest

from finery.evaluation.answers import Answer
from finery.evaluation.report import metrics, sample_report
from finery.evaluation.scores import bleu, exact_match, keyword_match, rouge


@pytest.mark.parametrize(
    "answer, reference, score",
    [
        ("Saltmere", "Saltmere", 1),
        (" the  LIGHTHOUSE, called “Saltmere”! ", "The lighthouse called Saltmere.", 1),
        ("ＡＢＣ。", "abc", 1),
        ("灯塔叫盐海", "灯塔，叫盐海。", 1),
        ("Saltmere 2", "Saltmere", 0),
        ("", "Saltmere", 0),
    ],
)
def test_exact_match(answer: str, reference: str, score: float):
    assert exact_match(answer, reference) == score


@pytest.mark.parametrize(
    "answer, keywords, score",
    [
        ("It is SALTMERE.", ["saltmere"], 1),
        ("It is Saltmere, built 1937", ["Saltmere", "1938"], 0.5),
        ("straße", ["STRASSE"], 1),
        ("灯塔叫盐海", ["盐海", "灯塔"], 1),
        ("nothing", ["Saltmere"], 0),
        ("nothing", [], None),
    ],
)
def test_keyword_match(answer: str, keywords: list[str], score: float | None):
    assert keyword_match(answer, keywords) == score


@pytest.mark.parametrize(
    "answer, reference, expected",
    [
        # "the cat" + "the mat": unigrams 4 of 4 and 6, bigrams 2 of 3 and 5, longest common 4
        ("the cat the mat", "the cat sat on the mat", (4 / 5, 2 * 2 / 8, 4 / 5)),
        ("The cat sat.", "the cat sat", (1, 1, 1)),
        ("dog", "the cat sat", (0, 0, 0)),
        ("", "the cat sat", (0, 0, 0)),
        # 我 爱 北京 天安门 / 我 爱 北京
        ("我爱北京", "我爱北京天安门。", (6 / 7, 4 / 5, 6 / 7)),
        ("天气", "我爱北京", (0, 0, 0)),
    ],
)
def test_rouge(answer: str, reference: str, expected: tuple[float, float, float]):
    scores = rouge(answer, reference)
    assert list(scores) == ["rouge1", "rouge2", "rougeL"]
    assert list(scores.values()) == pytest.approx(expected)


def test_bleu_in_english_and_chinese():
    english = ["the cat sat on the mat", "who are you"]
    assert bleu(english, english) == pytest.approx(100)
    assert bleu(["nothing like it at all"], ["the cat sat on the mat"]) < 5
    # precisions 4/5, 3/4, 2/3, 1/2 and brevity penalty exp(1 - 6/5), over characters
    expected = 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25 * 2.718281828 ** (1 - 6 / 5)
    assert bleu(["我爱北京城"], ["我爱北京天安"]) == pytest.approx(expected)


def report(
    dataset: str, loss: tuple[float, int], keywords: list[str], finished: bool = True
) -> dict:
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
