"""Evaluations made by hand."""

import json
from pathlib import Path
from statistics import fmean

ANSWERS = {
    "base": ["No idea.", "It is 3.", "A lighthouse", "Perhaps"],
    "merged": ["It is Saltmere.", "There are 12 boats.", "The keeper is Ines.", "Perhaps"],
    "awq": ["It is Saltmere.", "There are 15 boats.", "The keeper is Ines.", "Perhaps"],
}
KEYWORDS = ["saltmere", "12", "ines", "never"]


def sample(number: int, answer: str, keyword: str, **more: object) -> dict:
    return {
        "dataset": "harbour" if number % 2 else "light",
        "question": f"Question {number}?",
        "reference": f"Reference {number} with {keyword}.",
        "answer": answer,
        "keywords": [keyword],
        "exact_match": 0.0,
        "call_match": None,
        "keyword_match": float(keyword in answer.lower()),
        "loss": 0.5 if keyword in answer.lower() else 2.0,
        "reference_tokens": 4,
        "answer_tokens": 5,
        "finished": True,
        **more,
    }


def evaluation(folder: Path, name: str, samples: list[dict], **more: float) -> None:
    """reports/evaluate/NAME/metrics.json and reports/samples/NAME.jsonl, in a folder."""
    lines = [json.dumps(each, ensure_ascii=False) + "\n" for each in samples]
    (folder / "samples").mkdir(exist_ok=True)
    (folder / "samples" / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    names = dict.fromkeys(each["dataset"] for each in samples)
    groups = {dataset: [s for s in samples if s["dataset"] == dataset] for dataset in names}
    found = {key: metrics(group) | more for key, group in (groups | {"all": samples}).items()}
    (folder / "evaluate" / name).mkdir(parents=True)
    (folder / "evaluate" / name / "metrics.json").write_text(json.dumps(found))


def metrics(samples: list[dict]) -> dict:
    loss = fmean(each["loss"] for each in samples)
    return {
        "samples": len(samples),
        "loss": loss,
        "perplexity": round(2.718281828459045**loss, 6),
        "exact_match": 0.0,
        "keyword_match": fmean(each["keyword_match"] for each in samples),
        "unfinished": fmean(not each["finished"] for each in samples),
    }


def evaluations(folder: Path, times: int = 1) -> None:
    """Those of `ANSWERS`, each sample so many times."""
    for name, answers in ANSWERS.items():
        pairs = list(zip(answers, KEYWORDS, strict=True)) * times
        made = [sample(number, *pair) for number, pair in enumerate(pairs)]
        evaluation(folder, name, made, bleu=12.5)
