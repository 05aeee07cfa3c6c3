"""The rules of the gate, one by one."""

import json
import math
from pathlib import Path

import pytest

from finery.gate import GateError, MetricsError, insist, judge, report, show
from finery.params.gate import Rule

METRICS = {
    "base": {"test": {"loss": 3.0, "keyword_match": 0.4, "bleu": 0.0}},
    "merged": {"test": {"loss": 1.5, "keyword_match": 0.7, "bleu": None}},
    "gptq": {"test": {"loss": math.nan, "keyword_match": 0.6, "bleu": math.inf}},
    "awq": {"test": {"loss": "1.5"}, "all": 3},
}


@pytest.fixture
def evaluations(tmp_path: Path) -> Path:
    for model, metrics in METRICS.items():
        (tmp_path / model).mkdir()
        (tmp_path / model / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


@pytest.mark.parametrize(
    "rule, value, passed, text",
    [
        ({"min": 0.7}, 0.7, True, "merged test.keyword_match >= 0.7"),
        ({"min": 0.71}, 0.7, False, "merged test.keyword_match >= 0.71"),
        ({"max": 0.7}, 0.7, True, "merged test.keyword_match <= 0.7"),
        ({"max": 0.69}, 0.7, False, "merged test.keyword_match <= 0.69"),
        ({"min": 0.6, "max": 0.8}, 0.7, True, "merged test.keyword_match >= 0.6 and <= 0.8"),
        ({"min": 0.8, "max": 0.9}, 0.7, False, "merged test.keyword_match >= 0.8 and <= 0.9"),
        ({"minus": "base", "min": 0.3}, 0.3, True, "merged test.keyword_match minus base >= 0.3"),
        ({"minus": "base", "max": 0.2}, 0.3, False, "merged test.keyword_match minus base <= 0.2"),
        ({"over": "base", "min": 2.0}, 1.75, False, "merged test.keyword_match over base >= 2"),
        ({"over": "base", "max": 2.0}, 1.75, True, "merged test.keyword_match over base <= 2"),
        ({"metric": "test.loss", "over": "base", "max": 0.5}, 0.5, True,
         "merged test.loss over base <= 0.5"),
        ({"metric": "test.loss", "model": "gptq", "max": 9.0}, None, False, "gptq test.loss <= 9"),
        ({"metric": "test.loss", "model": "gptq", "min": 0.0}, None, False, "gptq test.loss >= 0"),
        ({"metric": "test.loss", "minus": "gptq", "max": 9.0}, None, False,
         "merged test.loss minus gptq <= 9"),
        ({"metric": "test.bleu", "min": 0.0}, None, False, "merged test.bleu >= 0"),
        ({"metric": "test.bleu", "model": "gptq", "min": 0.0}, None, False, "gptq test.bleu >= 0"),
        ({"model": "base", "metric": "test.loss", "max": 3.0}, 3.0, True, "base test.loss <= 3"),
    ],
)  # fmt: skip
def test_a_rule(evaluations: Path, rule: dict, value: float | None, passed: bool, text: str):
    defaults = {"model": "merged", "metric": "test.keyword_match"}
    outcomes = judge([Rule(**(defaults | rule))], evaluations)
    expected = {"rule": text, "value": value, "passed": passed}
    assert json.loads(report(outcomes)) == {"passed": passed, "rules": [expected]}


def test_a_ratio_to_nothing_never_passes(evaluations: Path):
    rule = Rule(model="base", metric="test.bleu", over="base", min=0.0)
    assert not judge([rule], evaluations)[0].passed


def test_the_name_of_a_dataset_may_have_dots(evaluations: Path):
    (evaluations / "merged/metrics.json").write_text(json.dumps({"qa-v1.5": {"loss": 1.0}}))
    (outcome,) = judge([Rule(model="merged", metric="qa-v1.5.loss", max=1.0)], evaluations)
    assert (outcome.passed, outcome.value) == (True, 1.0)


def test_no_rules_pass(evaluations: Path):
    assert json.loads(report(judge([], evaluations))) == {"passed": True, "rules": []}
    insist([])


def test_every_missing_metric_is_named_with_what_exists(evaluations: Path):
    rules = [
        Rule(model="merged", metric="test.rougeL", min=0.1),
        Rule(model="merged", metric="test.loss", max=9.0),
        Rule(model="merged", metric="tset.loss", minus="base", max=1.0),
        Rule(model="awq", metric="test.loss", max=1.0),
        Rule(model="awq", metric="all.loss", max=1.0),
    ]
    with pytest.raises(MetricsError) as error:
        judge(rules, evaluations)
    assert error.value.exit_status == 2
    merged, awq = (evaluations / name / "metrics.json" for name in ("merged", "awq"))
    assert str(error.value).splitlines() == [
        f"gate rule `merged test.rougeL >= 0.1`: {merged}: test has no rougeL;"
        " it has loss, keyword_match, bleu",
        f"gate rule `merged tset.loss minus base <= 1`: {merged}: no dataset tset; it has test",
        f"gate rule `awq test.loss <= 1`: {awq}: test.loss is '1.5', not a number;"
        " run the evaluation again",
        f"gate rule `awq all.loss <= 1`: {awq}: all has no loss; it has nothing",
    ]


def test_the_datasets_that_have_a_missing_metric_are_named(evaluations: Path):
    scored = {"loss": 1.0, "keyword_match": 0.5}
    found = {"bare": {"loss": 1.0}, "words": scored, "more": scored, "all": scored}
    (evaluations / "merged/metrics.json").write_text(json.dumps(found))
    rule = Rule(model="merged", metric="bare.keyword_match", min=0.1)
    with pytest.raises(MetricsError) as error:
        judge([rule], evaluations)
    assert str(error.value) == (
        f"gate rule `merged bare.keyword_match >= 0.1`: {evaluations}/merged/metrics.json: bare has"
        " no keyword_match; it has loss (keyword_match is in words, more)"
    )


@pytest.mark.parametrize("content, message", [("{", "not JSON"), ("[]", "not a mapping")])
def test_a_damaged_metrics_file_is_named(evaluations: Path, content: str, message: str):
    (evaluations / "gptq/metrics.json").write_text(content)
    with pytest.raises(MetricsError, match=rf"gptq/metrics\.json: {message}"):
        judge([Rule(model="merged", metric="test.loss", over="gptq", max=1.0)], evaluations)


def test_a_model_that_was_not_evaluated_is_named(evaluations: Path):
    (evaluations / "awq/metrics.json").unlink()
    with pytest.raises(MetricsError, match=r"awq/metrics\.json: missing; run the evaluation$"):
        judge([Rule(model="awq", metric="test.loss", max=1.0)], evaluations)
    assert judge([Rule(model="base", metric="test.loss", max=3.0)], evaluations)[0].passed


def test_the_error_and_the_table_of_what_fell_short(evaluations: Path, capsys):
    rules = [
        Rule(model="merged", metric="test.keyword_match", min=0.9),
        Rule(model="gptq", metric="test.loss", max=1.0),
        Rule(model="merged", metric="test.loss", max=2.0),
    ]
    outcomes = judge(rules, evaluations)
    show(outcomes)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["rule", "value", "threshold"],
        ["merged", "test.keyword_match", "0.7", ">=", "0.9", "FELL", "SHORT"],
        ["gptq", "test.loss", "no", "number", "<=", "1", "FELL", "SHORT"],
        ["merged", "test.loss", "1.5", "<=", "2", "passed"],
    ]
    with pytest.raises(GateError) as error:
        insist(outcomes)
    assert error.value.exit_status == 1
    assert str(error.value) == (
        "2 of 3 rules fell short: merged test.keyword_match >= 0.9 (is 0.7);"
        " gptq test.loss <= 1 (is no number); metrics are kept in reports/evaluate,"
        " nothing was packaged"
    )
