"""`finery compare`: the numbers, and what models take on this machine."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from finery.cli import app
from finery.comparison.here import Here, here

from .made import evaluations

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["quantize"]["formats"], params["gate"]["rules"] = ["awq"], []
    YAML().dump(params, Path("params.yaml"))
    Path("reports").mkdir()
    evaluations(Path("reports"))
    Path("models/awq").mkdir(parents=True)
    Path("models/awq/model.safetensors").write_bytes(b"0" * 2_500_000)
    Path(".finery/answers").mkdir(parents=True)
    said = [[["It is Saltmere.", tokens, True, ""], [1.0, 4], None] for tokens in (30, 50)]
    kept = {"made_from": "", "seconds": 4.0, "said": said}
    Path(".finery/answers/evaluate_quantized-awq.json").write_text(json.dumps(kept))
    record = {"stage": "evaluate_quantized@awq", "seconds": 9, "peak_mb": 812}
    Path(".finery/timings.jsonl").write_text(json.dumps(record) + "\n")
    return tmp_path


def test_what_is_known_of_a_model_here(project: Path):
    found = here({"awq": Path("models/awq"), "base": Path("models/base")})
    assert found == [Here("awq", 2.5, 20.0, 812), Here("base", None, None, None)]


def test_the_command_prints_both(project: Path):
    result = CliRunner().invoke(app, ["compare", "--language", "zh"])
    assert result.exit_code == 0, result.output
    assert "awq 对比 merged" in result.output
    assert "| awq | 2.5 | 20.0 | 812.0 |" in result.output
    assert "| merged | – | – | – |" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--language", "de"], "language: de is none of en, zh"),
     ([], "reports/samples/awq.jsonl: missing; run the evaluation")],
)  # fmt: skip
def test_what_goes_wrong_is_one_line(project: Path, arguments: list[str], said: str):
    Path("reports/samples/awq.jsonl").unlink()
    result = CliRunner().invoke(app, ["compare", *arguments])
    assert (result.exit_code, result.output.strip()) == (2, said)
