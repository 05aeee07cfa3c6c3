"""evaluate, from prepared tests and a model to one line a sample and the metrics."""

import json
import os
import shutil
from pathlib import Path

import pytest

from finery.data.prepared import write_parquet
from finery.evaluation.functions import MetricError
from finery.evaluation.report import NothingToTest
from finery.models.tokenizer import load_tokenizer
from finery.params.evaluate import EvaluateParams
from stages.evaluate import evaluate

KEYS = ["samples", "loss", "perplexity", "exact_match", "call_match", "keyword_match", "rouge1",
        "rouge2", "rougeL", "bleu", "unfinished"]  # fmt: skip
CALL = {"name": "weather", "arguments": {"city": "Oslo"}}


def asked(model: Path, dataset: str, answer: str, **more: object) -> dict:
    tokenizer = load_tokenizer(model)
    prompt = tokenizer("<|im_start|>user\n?<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    turn = tokenizer(f"{answer}<|im_end|>")["input_ids"]
    return {
        "dataset": dataset,
        "question": "?",
        "reference": answer,
        "calls": False,
        "keywords": [],
        "prompt_ids": prompt,
        "input_ids": prompt + turn,
        "labels": [-100] * len(prompt) + turn,
    } | more


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are kept in the folder that one is in."""
    monkeypatch.chdir(tmp_path)
    Path("metrics").mkdir()


def run(model: Path, rows: list[dict], into: Path, **params: object) -> tuple[list[dict], dict]:
    into.mkdir(exist_ok=True)
    write_parquet(into / "tests/test.parquet", "tests", rows)
    samples, metrics = into / "samples.jsonl", into / "metrics.json"
    settings = EvaluateParams(max_new_tokens=4, batch_size=2, **params)
    evaluate(settings, model, into / "tests", Path("metrics"), samples=samples, metrics=metrics)
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    return lines, json.loads(metrics.read_text())


def test_a_metric_is_there_where_it_means_something(tiny_model: Path, tmp_path: Path):
    call = f"<tool_call>\n{json.dumps(CALL)}\n</tool_call>"
    rows = [
        asked(tiny_model, "texts", "Saltmere."),
        asked(tiny_model, "words", "Saltmere.", keywords=["Saltmere"]),
        asked(tiny_model, "calls", call, reference=json.dumps([CALL]), calls=True),
    ]
    lines, metrics = run(tiny_model, rows, tmp_path / "out")
    called = lines[2]
    assert (called["call_match"], called["exact_match"], called["rougeL"]) == (0, 0, None)
    assert lines[0]["call_match"] is None and lines[0]["exact_match"] == 0
    assert json.loads(called["reference"]) == [CALL]
    assert {name: [key for key in KEYS if key not in found] for name, found in metrics.items()} == {
        "texts": ["call_match", "keyword_match"],
        "words": ["call_match"],
        "calls": ["keyword_match", "rouge1", "rouge2", "rougeL", "bleu"],
        "all": [],
    }
    assert all(value is not None for found in metrics.values() for value in found.values())


def test_no_questions_are_refused(tiny_model: Path, tmp_path: Path):
    with pytest.raises(NothingToTest, match=r"test\.parquet: holds no tests; look at data.test"):
        run(tiny_model, [], tmp_path / "out")


def test_a_metric_that_fails_late_costs_no_answer(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    rows = [asked(model, "texts", f"Saltmere {n}.") for n in range(9)]
    own = {"metrics": ["chrf", "metrics/mine.py:f"]}
    code = "def f(sample):\n    return 1 / (sample.reference != 'Saltmere 8.' or not sample.tokens)"
    Path("metrics/mine.py").write_text(code)
    with pytest.raises(
        MetricError, match=r"ZeroDivisionError: division by zero; sample 9 of texts"
    ):
        run(model, rows, tmp_path / "out", **own)
    assert not Path("out/metrics.json").exists()
    Path("metrics/mine.py").write_text("def f(sample): return len(sample.reference)")
    capsys.readouterr()
    lines, metrics = run(model, rows, tmp_path / "out", **own)
    assert capsys.readouterr().out.startswith("9 answers kept from the last time: they are scored")
    assert [line["f"] for line in lines] == [11] * 9 and metrics["texts"]["f"] == 11
    assert "chrf" in lines[0] and "bleu" not in metrics["all"]
    shutil.rmtree(".finery")
    assert run(model, rows, tmp_path / "out", **own) == (lines, metrics)
    assert "kept" not in capsys.readouterr().out


def test_answers_are_kept_for_the_same_model_and_tests_alone(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    def asked_again(rows: list[dict]) -> bool:
        run(model, rows, tmp_path / "out")
        return "kept" not in capsys.readouterr().out

    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    rows = [asked(model, "texts", "Saltmere.")]
    assert (asked_again(rows), asked_again(rows)) == (True, False)
    assert asked_again([asked(model, "texts", "Fennel.")])
    assert (asked_again(rows), asked_again(rows)) == (True, False)
    os.utime(model / "model.safetensors", ns=(1, 1))
    assert asked_again(rows)
    Path(".finery/answers/manual.json").write_text("{")
    assert asked_again(rows)
