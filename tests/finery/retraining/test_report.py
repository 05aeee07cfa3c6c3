"""A retraining in words."""

import json
from pathlib import Path

import pytest

from finery.retraining.record import Run
from finery.retraining.report import message, show

ROOT = Path(__file__).resolve().parents[3]


def test_a_commit_says_what_changed_and_how_good_the_models_are(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    reports = tmp_path / "reports/evaluate/merged"
    reports.mkdir(parents=True)
    metrics = {"identity_test": {"keyword_match": 0.93333}, "handbook_test": {}}
    (reports / "metrics.json").write_text(json.dumps(metrics))
    changed = ["rows.json: new at http://host/rows.json", "prepare: data/raw/rows.json changed"]
    assert message(changed, tmp_path, ["merged", "gptq"]).split("\n") == [
        "Retrain: rows.json: new at http://host/rows.json and 1 more",
        "",
        "- rows.json: new at http://host/rows.json",
        "- prepare: data/raw/rows.json changed",
        "",
        "merged: identity_test.keyword_match 0.9333",
    ]


def test_the_history_has_a_line_for_each_run(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        [
            Run("2026-01-01T03:00:00Z", outcome="released", reason="merged v0.2.0 in prod: better",
                versions={"merged": "v0.2.0"}, changed=list("abcde"), ended="2026-01-01T03:01:30Z"),
            Run("2026-01-02T03:00:00Z"),
        ]
    )  # fmt: skip
    head, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["started", "took", "outcome", "released", "why", "changed"]
    assert first[:6] == ["2026-01-01T03:00:00Z", "90", "s", "released", "merged", "v0.2.0"]
    assert first[-6:] == ["a;", "b;", "c", "and", "2", "more"]
    assert second == ["2026-01-02T03:00:00Z", "under", "way"]
