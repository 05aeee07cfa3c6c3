import json
from pathlib import Path

from finery import lineage


def test_records_are_carried_along_in_the_order_of_the_stages(tmp_path: Path):
    base, data, adapter = (tmp_path / name for name in ("base", "data", "adapter"))
    for folder in (base, data, adapter):
        folder.mkdir()
    lineage.write(base, [], "download", {"source": "路径"})
    lineage.write(data, [], "prepare", {"rows": 2})
    lineage.write(adapter, [base, data], "train", {"steps": 3})
    expected = {"download": {"source": "路径"}, "prepare": {"rows": 2}, "train": {"steps": 3}}
    assert lineage.read(adapter) == expected
    assert list(lineage.read(adapter)) == ["download", "prepare", "train"]
    text = (adapter / "lineage.json").read_text(encoding="utf-8")
    assert text == json.dumps(expected, indent=2, ensure_ascii=False) + "\n"


def test_an_artefact_without_a_record_has_an_empty_one(tmp_path: Path):
    assert lineage.read(tmp_path) == {}
