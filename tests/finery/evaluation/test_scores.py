import pytest

from finery.evaluation.report import metrics, sample_report
from finery.evaluation.scores import bleu, exact_match, keyword_match, rouge
from finery.inference.answers import Answer


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
        ("", ["Saltmere"], 0),
        ("It is well‑known,\nin New\nYork", ["well-known", "new york"], 1),
        ("It's 15 boats", ["5", "1", "15"], 1 / 3),
        ("-5", ["5", "-5"], 0.5),
        ("2-5 boats for 13.5, 5,000 and 3.50", ["5", "3.5", "000", "13.5"], 0.5),
        ("It is 5.", ["5"], 1),
        ("C", ["C++"], 0),
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
        ("Saltmere", "Saltmere.", (1, 1, 1)),
        ("It is Saltmere", "Saltmere", (1 / 2, 0, 1 / 2)),
        # three of four and of five syllables, two and one of their pairs
        ("안녕하다", "안녕하세요", (2 * 3 / 9, 2 * 2 / 7, 2 * 3 / 9)),
        ("灯台です", "灯塔です", (3 / 4, 1 / 3, 3 / 4)),
        ("यह की है", "यह का है", (2 / 3, 0, 2 / 3)),
        ("3.5", "35", (0, 0, 0)),
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


@pytest.mark.parametrize(
    "texts",
    [["Saltmere"], ["Who are you"], ["A b c d e f"], ["盐海"], ["はい", "灯台です"], ["네"], ["ใช่"],
     ["да", "нет"], ["نعم"], ["हाँ"], ["Yes.", "是", "はい", "네", "да"], ["?"]],
)  # fmt: skip
def test_the_same_texts_have_a_bleu_of_100_whatever_their_length_and_scripts(texts: list[str]):
    assert bleu(texts, texts) == pytest.approx(100)


@pytest.mark.parametrize(
    "answer, reference, expected",
    [
        ("", "Saltmere", 0),
        ("Fennel", "Saltmere", 0),
        ("the cat", "the dog", 100 * (1 / 2 * 1 / 2) ** 0.5),  # no pair: half a one, as sacrebleu
        ("Saltmere light", "Saltmere", 100 * (1 / 2 * 1 / 2) ** 0.5),
        # over letters: 3/4, and 1/3 and half of a half of pairs and threes; 1 of four none
        ("灯台です", "灯塔です", 100 * (3 / 4 * 1 / 3 * 1 / 4 * 1 / 4) ** 0.25),
        ("да!", "да.", 100 * (1 / 2 * 1 / 2) ** 0.5),
    ],
)
def test_bleu_of_short_answers(answer: str, reference: str, expected: float):
    assert bleu([answer], [reference]) == pytest.approx(expected)


def test_each_pair_of_a_mixed_set_is_cut_up_as_its_script_is():
    answers, references = ["我爱北京城", "the cat sat here"], ["我爱北京天安", "the cat sat there"]
    # over five letters and four words: 4 + 3, 3 + 2, 2 + 1 and 1 + 0 of 9, 7, 5 and 3
    expected = 100 * (7 / 9 * 5 / 7 * 3 / 5 * 1 / 3) ** 0.25 * 2.718281828 ** (1 - 10 / 9)
    assert bleu(answers, references) == pytest.approx(expected)


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
    assert (found["exact_match"], found["answer"]) == (score, answer)
    assert found["keyword_match"] == ("Fennel" in answer)
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
    assert right["answer"] == answer.written
    found = metrics([right, wrong, report("t", (1.0, 2), [])])
    assert (
        found["c"]["call_match"] == found["c"]["exact_match"] == found["c"]["keyword_match"] == 0.5
    )
    assert not {"bleu", "rouge1", "rouge2", "rougeL"} & set(found["c"])
    assert (found["all"]["call_match"], found["all"]["bleu"]) == (0.5, 100)
    assert found["all"]["exact_match"] == pytest.approx(2 / 3, abs=1e-6)
