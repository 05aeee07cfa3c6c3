"""What a text says: what is left out of a comparison, and what never is."""

import string
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finery.evaluation.metrics.bleu import bleu
from finery.evaluation.metrics.exact_match import exact_match
from finery.evaluation.metrics.rouge import rouge
from finery.evaluation.wording import plain, reading, words

SAME = [
    ("Saltmere.", "saltmere"),
    (" the  LIGHTHOUSE, called “Saltmere”! ", "The lighthouse called Saltmere."),
    ("ＡＢＣ。", "abc"),
    ("灯塔，叫盐海。", "灯塔叫盐海"),
    ("是的！", "「是的」？"),
    ("有 3 个。", "有3个"),
    ("3.5.", "3.5"),
    ("３．５％", "3.5 %"),
    ("−5", "-5"),
    ("–5", "(-5)"),
    ("“C#”.", "c#"),
    ("(C++)", "C++"),
    (".NET!", ".net"),
    ("isn’t", "isn't"),
    ("**Saltmere**", "`Saltmere`"),
    ("# Answer\nyes", "answer: yes"),
    ("5 - 3 = 2", "5-3=2"),
    ("2 * (3 + 4)", "2*(3+4)"),
    ("x != y", "x!=y"),
    ("Fennel — a bakery", "Fennel - a bakery"),
    ("Saltmere (lighthouse)", "saltmere, lighthouse"),
    ("$ 5", "$5."),
    ("and / or", "and/or"),
    ("R & D", "r&d"),
    ("3〜5", "3～5"),
    ("¿Qué?", "qué"),
    ("« oui »", "oui"),
    ("هل؟", "هل"),
    ("यह है।", "यह है"),
    ("cafe\u0301", "café"),
    ("non\u200bsense\ufeff", "nonsense"),
]
DIFFERENT = [
    ("3.5", "35"), ("3.5", "3,5"), ("3 5", "35"), ("1,000", "1000"), ("10:30", "1030"),
    ("-5", "5"), ("−5", "5"), ("- 5", "5"), ("-.5", ".5"), ("+5", "5"), ("2 -1", "2-1"),
    ("C++", "C"), ("C#", "C"), ("F#", "F"), (".NET", "NET"), ("A+", "A"), ("A-", "A"), ("#1", "1"),
    ("$5", "5"), ("€5", "$5"), ("5%", "5"), ("50 %", "50"), ("5°", "5"),
    ("5٪", "5"), ("5′", "5"), ("5′", "5″"), ("3〜5", "3、5"), ("~5", "5"), ("≤5", "≥5"),
    ("10⁵", "105"), ("H₂", "H2"), ("1½", "11⁄2"), ("1/2", "12"), ("2^3", "23"),
    ("can't", "can"), ("can't", "cant"), ("!done", "done"), ("x != y", "x = y"), ("¬p", "p"),
    ("不是", "是"), ("is not", "is"), ("2*(3+4)", "2*3+4"), ("(2 + 3) * 4", "2 + 3 * 4"),
    ("x - y", "x y"), ("x - y", "x + y"), ("R&D", "RD"), ("a/b", "ab"), ("a_b", "ab"),
    ("--force", "force"), ("की", "का"), ("가", "나"), ("が", "か"), ("résumé", "resume"),
    ("?", "!"), ("5５", "5"), ("", "Saltmere"), (" \n", "?"),
]  # fmt: skip
SCRIPTS = {
    "Latin": (string.ascii_letters, "words"),
    "Cyrillic": ("абвгдежз", "foreign"),
    "Greek": ("αβγδεζηθ", "foreign"),
    "Arabic": ("ابتثجحخد", "foreign"),
    "Hebrew": ("אבגדהוזח", "foreign"),
    "Devanagari": ("कखगघचछजझ", "foreign"),
    "Han": ("灯塔叫盐海北京我", "chinese"),
    "Kana": ("あいうえおアイウ", "characters"),
    "Hangul": ("가나다라마바사아", "characters"),
    "Thai": ("กขคงจฉชซ", "characters"),
}
WORDS = {
    name: st.text(st.sampled_from(letters), min_size=1, max_size=6)
    for name, (letters, _) in SCRIPTS.items()
}
FEW = settings(deadline=None, max_examples=25)
LINES = {name: st.lists(word, min_size=1, max_size=8).map(" ".join) for name, word in WORDS.items()}


@pytest.mark.parametrize("one, other", SAME)
def test_case_space_and_surrounding_punctuation_do_not_matter(one: str, other: str):
    assert plain(one) == plain(other)
    assert exact_match(one, other) == exact_match(other, one) == 1


@pytest.mark.parametrize("one, other", DIFFERENT)
def test_what_changes_what_is_said_does(one: str, other: str):
    assert plain(one) != plain(other)
    assert exact_match(one, other) == exact_match(other, one) == 0


@pytest.mark.parametrize(
    "text, how",
    [
        ("Saltmere", "words"),
        ("42", "words"),
        ("The crew said ありがとう to all of us there", "words"),
        ("Привет, world", "words"),
        ("Привет", "foreign"),
        ("灯塔 called Saltmere", "chinese"),
        ("日本語はMitsubishiです", "characters"),
        ("안녕하세요", "characters"),
        ("สวัสดี", "characters"),
    ],
)
def test_a_text_is_taken_apart_as_its_script_is(text: str, how: str):
    assert reading(text) == how


@pytest.mark.parametrize(
    "text, expected",
    [
        ("It isn't 3.5, no.", ["it", "isn't", "3.5", "no"]),
        (
            "To all of us they said ありがとう!",
            [*["to", "all", "of", "us", "they", "said"], "ありがとう"],
        ),
        ("我爱北京天安门。", ["我", "爱", "北京", "天安门"]),
        ("塔はSaltmere。", ["塔", "は", "saltmere"]),
        ("안녕 3.5", ["안", "녕", "3.5"]),
        ("กำ", ["กํ", "า"]),
    ],
)
def test_words(text: str, expected: list[str]):
    assert words(text, reading(text)) == expected


@pytest.mark.parametrize("script", SCRIPTS)
@FEW
@given(data=st.data())
def test_the_same_in_any_script_and_length_is_all_that_can_be_had(script: str, data: st.DataObject):
    text = data.draw(LINES[script])
    assert reading(text) == SCRIPTS[script][1]
    assert exact_match(text, text) == 1
    assert rouge(text, text) == {"rouge1": 1, "rouge2": 1, "rougeL": 1}
    assert bleu([text], [text]) == pytest.approx(100)


@pytest.mark.parametrize("script", SCRIPTS)
@FEW
@given(data=st.data())
def test_another_word_is_less(script: str, data: st.DataObject):
    text, more = data.draw(LINES[script]), data.draw(WORDS[script])
    for answer, reference in ((f"{text} {more}", text), (text, f"{text} {more}"), ("", text)):
        assert exact_match(answer, reference) == 0
        assert max(rouge(answer, reference).values()) < 1
        assert bleu([answer], [reference]) < 100


@settings(deadline=None)
@given(text=st.text(min_size=1), other=st.text(min_size=1))
def test_any_text_at_all_is_itself_and_never_nothing(text: str, other: str):
    said = plain(text)
    assert exact_match(text, text) == float(bool(said))
    assert exact_match("", text) == exact_match(text, "") == 0
    if said and plain(other) != said:
        assert exact_match(other, text) == 0 and rouge(other, text)["rougeL"] < 1


@FEW
@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=2))
def test_another_number_is_another_answer(number):
    text = f"{number:f}"
    assert exact_match(f"It is {text}.", f"it is {text}") == 1
    for other in (
        f"-{text}",
        text.replace(".", ""),
        text.replace(".", ","),
        f"{text}%",
        f"${text}",
    ):
        assert exact_match(f"It is {other}.", f"It is {text}.") == 0


@pytest.mark.parametrize("piece", [" ", "\n", ".", "-", "- ", "*a ", "(", "# ", "`", "，"])
def test_an_answer_that_goes_astray_is_scored_as_quickly_as_any(piece: str):
    """A rule that looks back over all of what repeats would take a minute for this."""
    start = process_time()
    assert exact_match(f"Saltmere{piece * 8000}", "Saltmere") in (0, 1)
    assert process_time() - start < 10
