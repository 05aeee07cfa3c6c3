import json
from pathlib import Path

from finery import lineage


def test_records_are_carried_along_in_the_order_of_the_stages(tmp_path: Path):
    base, data, adapter = (tmp_path / name for name in ("base", "data", "adapter"))
    for folder in (base, data, adapter):
        folder.mkdir()
    lineage.write(base, [], "download", {"source": "路径"})
    lineage.write(data, [], "prepare@sft", {"rows": 2})
    lineage.write(adapter, [base, data], "train@sft", {"steps": 3})
    expected = {
        "download": {"source": "路径"},
        "prepare@sft": {"rows": 2},
        "train@sft": {"steps": 3},
    }
    assert lineage.read(adapter) == expected
    assert list(lineage.read(adapter)) == ["download", "prepare@sft", "train@sft"]
    text = (adapter / "lineage.json").read_text(encoding="utf-8")
    assert text == json.dumps(expected, indent=2, ensure_ascii=False) + "\n"


def test_an_artefact_without_a_record_has_an_empty_one(tmp_path: Path):
    assert lineage.read(tmp_path) == {}


def test_the_records_of_each_step_in_their_order():
    records = {"download": {}, "prepare@b": {"rows": 1}, "train@b": {}, "prepare@a": {"rows": 2}}
    assert lineage.of(records, "prepare") == {"b": {"rows": 1}, "a": {"rows": 2}}
    assert list(lineage.of(records, "prepare")) == ["b", "a"]
    assert lineage.of(records, "merge") == lineage.of({}, "prepare") == {}


def test_a_model_of_an_earlier_step_comes_before_what_is_learnt_on_it(tmp_path: Path):
    """However the steps are called, and though some records come by both ways."""
    start, data, adapter = (tmp_path / name for name in ("start", "data", "adapter"))
    for folder in (start, data, adapter):
        folder.mkdir()
    records = {"download": {}, "prepare@z": {}, "train@z": {"steps": 3}, "merge@z": {}}
    (start / lineage.LINEAGE).write_text(json.dumps(records))
    lineage.write(data, [], "prepare@a", {})
    lineage.write(adapter, [start, data], "train@a", {"steps": 5})
    assert list(lineage.read(adapter)) == [*records, "prepare@a", "train@a"]
    assert lineage.read(adapter)["train@z"] == {"steps": 3}
    assert lineage.maker(adapter) == "train@a" and lineage.maker(start) == "merge@z"


def test_nobody_made_what_has_no_record(tmp_path: Path):
    assert lineage.maker(tmp_path) is None
