"""The gate from the command line, as dvc.yaml runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = {"base": 0.0, "merged": 0.95, "gptq": 0.9, "awq": 0.85}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def evaluated(project: Path, keyword_match: dict[str, float]) -> None:
    for model, score in keyword_match.items():
        scores = {"keyword_match": score, "perplexity": 10.0}
        metrics = dict.fromkeys(("identity_test", "handbook_test", "all"), scores)
        file = project / f"reports/evaluate/{model}/metrics.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(metrics))


def run(project: Path) -> subprocess.CompletedProcess:
    paths = ["--evaluations=reports/evaluate", "--report=reports/gate/report.json"]
    command = [sys.executable, "-m", "stages.gate", *paths]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("DVC_STAGE", None)
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=120
    )


def test_good_models_pass(project: Path):
    evaluated(project, GOOD)
    done = run(project)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads((project / "reports/gate/report.json").read_text())
    assert report["passed"] and len(report["rules"]) == 6
    assert report["rules"][3] == {
        "rule": "merged handbook_test.keyword_match minus base >= 0.3",
        "value": 0.95,
        "passed": True,
    }


def test_a_bad_model_stops_the_pipeline_with_one_line_and_the_whole_table(project: Path):
    evaluated(project, GOOD | {"gptq": 0.5})
    done = run(project)
    assert done.returncode == 1
    assert done.stderr == (
        "gate: 1 of 6 rules fell short: gptq identity_test.keyword_match >= 0.85 (is 0.5);"
        " metrics are kept in reports/evaluate, nothing was packaged\n"
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 7
    assert lines[1] == ["merged", "identity_test.keyword_match", "0.95", ">=", "0.9", "passed"]
    assert lines[2][2:] == ["0.5", ">=", "0.85", "FELL", "SHORT"]
    assert not (project / "reports/gate/report.json").exists()


def test_a_missing_metric_is_bad_input(project: Path):
    evaluated(project, GOOD)
    (project / "reports/evaluate/awq/metrics.json").write_text('{"all": {"perplexity": 3.0}}')
    done = run(project)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "gate: gate rule `awq identity_test.keyword_match >= 0.8`:"
        " reports/evaluate/awq/metrics.json: no dataset identity_test; it has all\n"
    )


def test_the_gate_never_imports_torch():
    code = "import sys, stages.gate; print({'torch', 'transformers'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n"
