"""Each metric, on answers whose score is known."""

from pathlib import Path

import pytest
import sacrebleu

from finery.evaluation.measuring import MODULES, metrics_of
from finery.evaluation.metrics.bleu import bleu
from finery.evaluation.metrics.exact_match import exact_match
from finery.evaluation.metrics.keyword_match import keyword_match
from finery.evaluation.metrics.rouge import rouge
from finery.evaluation.sample import Sample
from finery.json_schemas import SchemaFileError
from finery.params.evaluate import BUILT_IN, EvaluateParams

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(__file__).parent


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


def scored(taken: dict | str, answer: str, reference: str = "", **more: object) -> dict:
    """What a metric gives for an answer."""
    (metric,) = metrics_of(EvaluateParams(metrics=[taken]), FOLDER)
    return metric.score(Sample("d", "?", reference, answer, **more))


def of_dataset(name: str, *pairs: tuple[str, str]) -> dict:
    (metric,) = metrics_of(EvaluateParams(metrics=[name]), FOLDER)
    samples = [Sample("d", "?", reference, answer) for answer, reference in pairs]
    return metric.summary(samples, [metric.score(sample) for sample in samples])


def test_chrf_of_a_text_and_of_a_dataset():
    same = "The lighthouse is called Saltmere."
    assert scored("chrf", same, same) == {"chrf": pytest.approx(100)}
    # one letter of two, no pair: F2 of 1/2 and 0 over the two orders that there are
    assert scored("chrf", "ab", "ac")["chrf"] == pytest.approx(25)
    assert scored("chrf", "我爱北京城", "我爱北京城") == {"chrf": pytest.approx(100)}
    texts = ["the cat sat", "我爱北京天安门"], ["the dog sat", "我爱北京"]
    expected = sacrebleu.corpus_chrf(texts[0], [texts[1]]).score
    assert of_dataset("chrf", *zip(*texts, strict=True)) == {"chrf": pytest.approx(expected)}


def test_bleu_of_a_dataset_is_no_mean_of_its_texts():
    pairs = [("the cat sat here", "the cat sat there"), ("a b c d e", "a b c d e")]
    each = [scored("bleu", *pair)["bleu"] for pair in pairs]
    assert each == [bleu([a], [r]) for a, r in pairs]
    found = of_dataset("bleu", *pairs)
    assert found == {"bleu": bleu(*zip(*pairs, strict=True))} and found["bleu"] != sum(each) / 2


@pytest.mark.parametrize(
    "answer, reference, precision, recall, f1",
    [
        ("positive", "Positive.", 1, 1, 1),
        ("negative", "positive", 0, 0, 0),
        ("", "positive", 0, 0, 0),
        ("animal, sea", "sea; animal; boat", 1, 2 / 3, 4 / 5),
        ("动物、海", "海，船", 1 / 2, 1 / 2, 1 / 2),
        ("sea\nboat\nsea", "sea", 1 / 2, 1, 2 / 3),
        ("It is positive", "positive", 0, 0, 0),
    ],
)
def test_labels_of_a_sample(
    answer: str, reference: str, precision: float, recall: float, f1: float
):
    expected = {"precision": precision, "recall": recall, "f1": f1}
    assert scored("f1", answer, reference) == pytest.approx(expected)


def test_labels_of_a_dataset_count_alike():
    pairs = [("yes", "yes"), ("yes", "yes"), ("yes", "no"), ("no", "no"), ("perhaps", "no")]
    # yes: 2 of 3 said, 2 of 2 there; no: 1 of 1, 1 of 3. What is no label has no row of its own.
    expected = {"precision": (2 / 3 + 1) / 2, "recall": (1 + 1 / 3) / 2, "f1": (4 / 5 + 1 / 2) / 2}
    assert of_dataset("f1", *pairs) == pytest.approx(expected)


@pytest.mark.parametrize(
    "pattern, answer, reference, score",
    [
        (r"^\d+$", "42", "", 1),
        (r"^\d+$", "It is 42", "", 0),
        (r"####\s*(-?[\d,.]+)", "So 6 * 7 = 42\n#### 42", "6 times 7\n#### 42.", 1),
        (r"####\s*(-?[\d,.]+)", "So 6 * 7 = 42\n#### 41", "6 times 7\n#### 42", 0),
        (r"####\s*(-?[\d,.]+)", "So it is 42", "6 times 7\n#### 42", 0),
        (r"answer is (\w+)", "The answer is Saltmere!", "saltmere", 1),
        (r"answer is (?:(\d+)|(\w+))", "The answer is yes", "yes", 1),
        (r"答案是(.+)", "答案是盐海。", "盐海", 1),
    ],
)
def test_regex(pattern: str, answer: str, reference: str, score: float):
    assert scored({"regex": pattern}, answer, reference) == {"regex": score}


@pytest.mark.parametrize(
    "answer, valid, allowed",
    [
        ('{"city": "Oslo", "boats": 3}', 1, 1),
        ('\n{"city": "Oslo"} ', 1, 0),
        ('{"city": 1, "boats": 3}', 1, 0),
        ("null", 1, 0),
        ('{"city": "Oslo", "boats": NaN}', 0, 0),
        ('```json\n{"city": "Oslo", "boats": 3}\n```', 0, 0),
        ('{"city": "Oslo", "boats": 3', 0, 0),
        ("", 0, 0),
        ("[" * 100_000, 0, 0),
    ],
)
def test_json(answer: str, valid: float, allowed: float):
    assert scored("json_valid", answer) == {"json_valid": valid}
    assert scored({"json_schema": "metrics/city.json"}, answer) == {"json_schema": allowed}


@pytest.mark.parametrize(
    "schema, said",
    [
        ('{"type": "objekt"}', "type: 'objekt' is not valid under any of the given schemas"),
        ('{"properties": {"a": {"$ref": "#/$defs/none"}}}', "$ref #/$defs/none leads nowhere in"),
        ('{"$ref": "https://example.com/other.json"}', "$ref https://example.com/other.json leads"),
        ("[]", "no JSON Schema, which is an object"),
        ("{", "not JSON (Expecting property name"),
        (None, "no such file"),
    ],
)
def test_what_is_no_schema(schema: str | None, said: str, tmp_path: Path):
    if schema is not None:
        (tmp_path / "s.json").write_text(schema)
    with pytest.raises(SchemaFileError) as error:
        metrics_of(EvaluateParams(metrics=[{"json_schema": "metrics/s.json"}]), tmp_path)
    assert said in str(error.value) and str(tmp_path / "s.json") in str(error.value)
    assert "\n" not in str(error.value)


def test_length_and_ends():
    cut = {"tokens": 7, "finished": False}
    assert (scored("length", "a", **cut), scored("stop_rate", "a", **cut)) == (
        {"length": 7.0}, {"stop_rate": 0.0},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["rouge", "bleu", "chrf", "f1"])
def test_calls_are_no_texts_to_compare(name: str):
    assert set(scored(name, "[]", "[]", call_match=1.0).values()) == {None}
    assert of_dataset(name) == {}


def test_the_names_and_numbers_of_the_settings_are_those_of_the_modules():
    folder = ROOT / "finery/evaluation/metrics"
    assert sorted(MODULES) == sorted(BUILT_IN) == sorted(f.stem for f in folder.glob("[a-z]*.py"))
    docs = (ROOT / "docs/evaluation.md").read_text()
    for name, numbers in BUILT_IN.items():
        taken = {"regex": "a", "json_schema": "metrics/city.json"}.get(name)
        entry = name if taken is None else {name: taken}
        assert tuple(scored(entry, "a", "a")) == numbers
        assert f"| `{name}` |" in docs
