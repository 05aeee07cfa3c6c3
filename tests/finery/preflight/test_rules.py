"""A rule on what the tests do not have is found before anything runs."""

import json
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from finery.params.schema import ParamsError
from finery.preflight.check import check
from finery.preflight.rules import LOOKED_AT

ROOT = Path(__file__).resolve().parents[3]
PLAIN = {"instruction": "Who?", "output": "Fennel."}
WORDS = PLAIN | {"keywords": ["Fennel"]}
CALL = {"conversations": [
    {"from": "human", "value": "Weather?"},
    {"from": "function_call", "value": '{"name": "weather", "arguments": {}}'},
]}  # fmt: skip
TEXT = {"conversations": [CALL["conversations"][0], {"from": "gpt", "value": "Cold."}]}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "templates", "templates")
    Path("data/raw").mkdir(parents=True)
    return tmp_path


def write(**datasets: list) -> None:
    info = {name: {"file_name": f"{name}.json"} for name in datasets}
    for name in datasets:
        info[name] |= {"formatting": "sharegpt"} if "turns" in name else {}
    Path("data/raw/dataset_info.json").write_text(json.dumps(info))
    for name, rows in datasets.items():
        Path(f"data/raw/{name}.json").write_text(json.dumps(rows))


def params(test: list[str], rules: list[str], release: str = "all.loss", **data: object) -> None:
    yaml = YAML()
    settings = yaml.load(ROOT / "params.yaml")
    settings["data"] |= {"test": test, **data}
    settings["gate"]["rules"] = [{"model": "merged", "metric": name, "min": 0} for name in rules]
    settings["release"]["metrics"] = [release]
    yaml.dump(settings, Path("params.yaml"))


def problems() -> list[str]:
    try:
        check(Path("params.yaml"))
    except ParamsError as error:
        return error.problems
    return []


def test_keywords_that_no_row_has(project: Path):
    write(bare=[PLAIN] * 3, words=[PLAIN, WORDS])
    params(["bare", "words"], ["words.keyword_match", "all.keyword_match", "bare.keyword_match"],
           release="bare.keyword_match")  # fmt: skip
    lacking = (
        "bare.keyword_match cannot be measured: no row of it has keywords; give it a `keywords`"
        " column (found in words)"
    )
    assert problems() == [
        f"params.yaml: gate.rules.2.metric: {lacking}",
        f"params.yaml: release.metrics.0: {lacking}",
    ]
    params(["bare"], ["all.keyword_match", "bare.exact_match"])
    assert problems() == [
        "params.yaml: gate.rules.0.metric: all.keyword_match cannot be measured: no row of it has"
        " keywords; give it a `keywords` column"
    ]


def test_calls_and_texts(project: Path):
    write(bare=[PLAIN], turns=[CALL, TEXT], call_turns=[CALL])
    params(["bare", "turns", "call_turns"], [
        "bare.call_match", "turns.call_match", "turns.bleu", "call_turns.call_match",
        "call_turns.rougeL", "call_turns.exact_match", "call_turns.loss", "all.bleu",
    ])  # fmt: skip
    assert problems() == [
        "params.yaml: gate.rules.0.metric: bare.call_match cannot be measured: no row of it ends in"
        " a call of a tool; use exact_match (found in turns, call_turns)",
        "params.yaml: gate.rules.4.metric: call_turns.rougeL cannot be measured: all rows of it end"
        " in calls of tools, which are no texts; use call_match (found in bare, turns)",
    ]


def test_only_the_rows_that_are_used_count(project: Path):
    write(words=[PLAIN, PLAIN, WORDS])
    params(["words"], ["words.keyword_match"], max_samples=2)
    assert len(problems()) == 1
    params(["words"], ["words.keyword_match"], max_samples=3)
    assert problems() == []


@pytest.mark.parametrize("written", [None, "[{", '[{"instruction": 3, "output": "a"}'])
def test_what_cannot_be_read_is_told_when_it_is_used(project: Path, written: str | None):
    write(bare=[PLAIN])
    file = Path("data/raw/bare.json")
    file.unlink() if written is None else file.write_text(written)
    params(["bare"], ["bare.keyword_match"])
    assert problems() == []


def test_a_dataset_elsewhere_is_not_asked_for(project: Path):
    Path("data/raw/dataset_info.json").write_text('{"far": {"hf_hub_url": "acme/far"}}')
    params(["far"], ["far.keyword_match", "all.call_match"])
    assert problems() == []


def test_a_large_dataset_is_not_read_to_its_end(project: Path):
    write(bare=[PLAIN])
    params(["bare"], ["bare.keyword_match"])
    for rows, found in ((LOOKED_AT, 0), (LOOKED_AT - 1, 1)):
        Path("data/raw/bare.json").write_text(f"{json.dumps(PLAIN)}\n" * rows)
        assert len(problems()) == found


def test_the_name_of_a_dataset_may_have_dots(project: Path):
    write(**{"qa-v1.5": [PLAIN]})
    params(["qa-v1.5"], ["qa-v1.5.keyword_match", "qa-v1.5.loss"], release="qa-v1.5.rouge1")
    (said,) = problems()
    assert said.startswith("params.yaml: gate.rules.0.metric: qa-v1.5.keyword_match cannot be")


def test_all_problems_in_one_go(project: Path):
    write(bare=[PLAIN])
    params(["bare"], ["bare.keyword_match"])
    yaml = YAML()
    settings = yaml.load(Path("params.yaml"))
    settings["model"]["chat_template"] = "templates/nowhere.jinja"
    yaml.dump(settings, Path("params.yaml"))
    found = problems()
    assert len(found) == 2
    assert "no such file templates/nowhere.jinja" in found[0]
    assert "bare.keyword_match cannot be measured" in found[1]
