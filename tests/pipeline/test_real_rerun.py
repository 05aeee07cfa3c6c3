"""What really runs after a change, read from the output of `dvc repro`."""

import json

import pytest

from .project import Project

PREPARE = {"prepare@sft", "prepare@dpo", "prepare_test"}
EVALUATE = {
    "evaluate@base", "evaluate@merged", "evaluate_quantized@gptq", "evaluate_quantized@awq",
}  # fmt: skip
PACKAGE = {"package@merged", "package_quantized@gptq", "package_quantized@awq"}
ARTEFACTS = ("models", "data/prepared", "reports")


def test_nothing_changed_so_nothing_runs(project: Project) -> None:
    before = project.contents(*ARTEFACTS, "dvc.lock")
    outcome = project.repro()
    assert (outcome.status, outcome.ran, outcome.restored) == (0, set(), set())
    assert project.contents(*ARTEFACTS, "dvc.lock") == before


def test_data_in_another_layout_stops_at_prepare(project: Project) -> None:
    before = project.contents(*ARTEFACTS)
    for name in ("identity", "handbook_test"):
        rows = json.loads(project.read(f"data/raw/{name}.json"))
        project.write(f"data/raw/{name}.json", json.dumps(rows, indent="\t"))
    project.write("data/raw/unused.json", '[{"instruction": "Why?", "output": "Because."}]')
    outcome = project.repro()
    assert (outcome.status, outcome.ran) == (0, PREPARE), outcome.output
    assert project.contents(*ARTEFACTS) == before


def test_a_test_row_changes_scores_but_no_model(project: Project) -> None:
    models = [f"models/{name}" for name in ("adapters", "sft", "dpo", "gptq", "awq")]
    metrics = [
        f"reports/evaluate/{name}/metrics.json" for name in ("base", "merged", "gptq", "awq")
    ]
    models_before, metrics_before = project.contents(*models), project.contents(*metrics)
    rows = json.loads(project.read("data/raw/identity_test.json"))
    rows[0]["output"] = "I would rather not say who I am."
    project.write("data/raw/identity_test.json", json.dumps(rows, indent=2))
    outcome = project.repro()
    expected = {"compare", "gate"} | PREPARE | EVALUATE | PACKAGE
    assert (outcome.status, outcome.ran) == (0, expected), outcome.output
    assert project.contents(*models) == models_before
    after = project.contents(*metrics)
    assert [name for name in metrics if after[name] == metrics_before[name]] == []


def test_a_new_description_is_packaged_and_nothing_else(project: Project) -> None:
    project.set("package.description", "Bakes in balloons.")
    outcome = project.repro()
    assert (outcome.status, outcome.ran) == (0, PACKAGE), outcome.output
    for name in ("merged", "gptq", "awq"):
        assert "Bakes in balloons." in project.read(f"models/packages/{name}/README.md")
        assert project.read(f"models/packages/{name}/LICENSE") == "Be kind."


def test_a_setting_taken_back_restores_what_was(project: Project) -> None:
    before = project.contents(*ARTEFACTS, "dvc.lock")
    was = project.setting("evaluate.max_new_tokens")
    project.set("evaluate.max_new_tokens", was + 8)
    there = project.repro("evaluate@base")
    assert (there.status, there.ran) == (0, {"evaluate@base"}), there.output
    samples = "reports/samples/base.jsonl"
    assert project.contents(samples)[samples] != before[samples]

    project.set("evaluate.max_new_tokens", was)
    back = project.repro()
    assert (back.status, back.ran, back.restored) == (0, set(), {"evaluate@base"}), back.output
    assert project.contents(*ARTEFACTS, "dvc.lock") == before


def test_a_gate_not_passed_packages_nothing_and_keeps_the_metrics(project: Project) -> None:
    packages, metrics = (project.contents(path) for path in ("models/packages", "reports/evaluate"))
    rule = {"model": "merged", "metric": "all.perplexity", "max": 1.0}
    project.set("gate.rules", [rule])
    outcome = project.repro()
    assert outcome.status != 0
    assert outcome.ran == {"gate"}
    perplexity = json.loads(project.read("reports/evaluate/merged/metrics.json"))["all"]
    measured = f"{perplexity['perplexity']:.6g}"
    table = [line.split() for line in outcome.output.splitlines()]
    assert ["merged", "all.perplexity", measured, "<=", "1", "FELL", "SHORT"] in table
    assert project.contents("models/packages") == packages
    assert project.contents("reports/evaluate") == metrics
    assert not (project.folder / "reports/gate/report.json").exists()

    again = project.repro()
    assert (again.status != 0, again.ran) == (True, {"gate"})
    project.set("gate.rules", [rule | {"max": 1.0e9}])
    passed = project.repro()
    assert (passed.status, passed.ran) == (0, set()), passed.output


def test_data_of_the_second_step_retrains_that_one_alone(project: Project) -> None:
    before = project.contents("models/adapters/sft", "models/sft", "reports/train/sft")
    rows = json.loads(project.read("data/raw/preferences.json"))
    rows[0]["chosen"] = "Nothing at all."
    project.write("data/raw/preferences.json", json.dumps(rows, indent=2))
    outcome = project.repro("train", "merge@sft")
    expected = {"prepare@sft", "prepare@dpo", "train@dpo"}
    assert (outcome.status, outcome.ran) == (0, expected), outcome.output
    assert project.contents(*before) == before


@pytest.mark.slow
def test_data_of_the_first_step_reaches_every_model(project: Project) -> None:
    rows = json.loads(project.read("data/raw/identity.json"))
    rows[0]["output"] = "I am somebody else altogether."
    project.write("data/raw/identity.json", json.dumps(rows, indent=2))
    outcome = project.repro()
    expected = {"train@sft", "merge@sft", "train@dpo", "merge@dpo", "gate"} | PREPARE | PACKAGE
    expected |= {"quantize@gptq", "quantize@awq", "compare"} | EVALUATE - {"evaluate@base"}
    assert outcome.status == 0, outcome.output
    assert outcome.ran == expected
