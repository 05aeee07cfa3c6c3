"""evaluate, from prepared tests and a model to one line a sample and the metrics."""

import json
from pathlib import Path

import pytest

from finery.data.prepared import write_parquet
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


def run(model: Path, rows: list[dict], into: Path) -> tuple[list[dict], dict]:
    into.mkdir()
    write_parquet(into / "test.parquet", "tests", rows)
    samples, metrics = into / "samples.jsonl", into / "metrics.json"
    params = EvaluateParams(max_new_tokens=4, batch_size=2)
    evaluate(params, model, into, samples=samples, metrics=metrics)
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
