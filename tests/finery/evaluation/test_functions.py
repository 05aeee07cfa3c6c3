"""Metrics of the user's: what they may give, and what is said if they fail."""

from pathlib import Path

import pytest

from finery.evaluation.functions import MetricError, scored, try_on
from finery.evaluation.measuring import metrics_of
from finery.evaluation.sample import Sample
from finery.params.evaluate import EvaluateParams

TESTS = [
    {"dataset": "texts", "question": f"What\n is {n}?", "reference": f"It is {n}.", "keywords": []}
    for n in range(12)
]


def metrics(folder: Path, code: str) -> list:
    (folder / "mine.py").write_text(code)
    return metrics_of(EvaluateParams(metrics=["metrics/mine.py:f"]), folder)


def score(folder: Path, code: str, answers: list[str]) -> list[float | None]:
    samples = [
        Sample("texts", "?", test["reference"], a) for a, test in zip(answers, TESTS, strict=False)
    ]
    return [found["f"] for (found,) in scored(metrics(folder, code), TESTS, samples)]


@pytest.mark.parametrize(
    "code, expected",
    [
        ("def f(sample): return len(sample.answer)", [2, 0]),
        ("def f(sample): return sample.answer in sample.reference", [1, 1]),
        ("def f(s): return None if not s.answer else 0.5", [0.5, None]),
        ("import numpy\ndef f(s): return numpy.float32(0.5)", [0.5, 0.5]),
        ("from fractions import Fraction\ndef f(s, half=Fraction(1, 2)): return half", [0.5, 0.5]),
    ],
)
def test_a_function_gives_a_number_or_none(code: str, expected: list, tmp_path: Path):
    found = score(tmp_path, code, ["It", ""])
    assert found == expected
    assert {type(each) for each in found} <= {float, type(None)}


def test_a_dataset_has_the_mean_of_what_has_a_number(tmp_path: Path):
    (metric,) = metrics(tmp_path, "def f(s): return None if not s.answer else len(s.answer)")
    samples = [Sample("d", "?", "", answer) for answer in ("a", "", "abc")]
    assert metric.summary(samples, [metric.score(each) for each in samples]) == {"f": 2.0}
    assert metric.summary(samples[1:2], [{"f": None}]) == {}


@pytest.mark.parametrize(
    "code, said",
    [
        ("def f(s):\n    return 1 / len(s.answer)",
         ", line 2: ZeroDivisionError: division by zero; sample 2 of texts (What is 1?)"),
        ("def f(s): return s.refrence",
         ", line 1: AttributeError: 'Sample' object has no attribute 'refrence'; sample 1"),
        ("def f(s): raise SystemExit('one\\ntwo')", ", line 1: SystemExit: one two; sample 1 of"),
        ("def f(s): return float('nan')",
         ": gave nan; a finite number is due, or None where it has none; sample 1 of texts (What is"
         " 0?), answer 'It'"),
        ("def f(s): return -float('inf')", ": gave -inf; a finite number is due"),
        ("def f(s): return 'good'", ': gave "good" (str); a finite number is due'),
        ("def f(s): return [1.0]", ": gave [1.0] (list); a finite number is due"),
        ("def f(s): return 1j", ': gave "1j" (complex); a finite number is due'),
    ],
)  # fmt: skip
def test_what_fails_is_one_line_with_the_sample(code: str, said: str, tmp_path: Path):
    with pytest.raises(MetricError) as error:
        score(tmp_path, code, ["It", "", "is"])
    assert str(error.value).startswith(f"evaluate.metrics: metrics/mine.py:f{said}")
    assert "\n" not in str(error.value) and error.value.exit_status == 2


@pytest.mark.parametrize(
    "code, said",
    [("import nowhere_at_all\ndef f(s): return 1", ", line 1: ModuleNotFoundError: No module"),
     ("1 / 0\ndef f(s): return 1", ", line 1: ZeroDivisionError: division by zero"),
     ("g = 1", ": AttributeError: module 'finery_user_mine' has no attribute 'f'")],
)  # fmt: skip
def test_a_file_that_cannot_be_run(code: str, said: str, tmp_path: Path):
    with pytest.raises(MetricError) as error:
        metrics(tmp_path, code)
    assert str(error.value).startswith(f"evaluate.metrics: metrics/mine.py:f{said}")


def test_functions_are_tried_before_a_model_is_asked(tmp_path: Path):
    try_on(metrics(tmp_path, "def f(s): return len(s.answer) / len(s.reference)"), TESTS)
    with pytest.raises(MetricError, match=r"sample 1 of texts \(What is 0\?\), answer ''"):
        try_on(metrics(tmp_path, "def f(s): return 1 / len(s.answer)"), TESTS)
    with pytest.raises(MetricError, match=r"answer 'It is 7\.'"):
        try_on(metrics(tmp_path, "def f(s): return 1 / (s.answer != 'It is 7.')"), TESTS)
