"""What is written as JSON is JSON, whatever the numbers are."""

import ast
import json
import math
from pathlib import Path
from typing import Any

import pytest

from finery import lineage
from finery.gate import Outcome, report
from finery.to_json import to_json

DUMPS = ("dump", "dumps")


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_no_number_is_null_however_deep():
    value = {
        "all": {"loss": math.nan, "perplexity": math.inf, "bleu": 90.5},
        "rules": [{"value": -math.inf}, (math.nan, 1)],
        "name": "Fennel, das Kräutchen",
    }
    assert strict(to_json(value)) == {
        "all": {"loss": None, "perplexity": None, "bleu": 90.5},
        "rules": [{"value": None}, [None, 1]],
        "name": "Fennel, das Kräutchen",
    }


def test_the_rest_is_as_json_has_it():
    value = {"a": [1, True, None, "ü", 0.1, -1e300], "b": {}}
    assert to_json(value) == json.dumps(value, ensure_ascii=False)
    assert to_json(value, indent=2) == json.dumps(value, indent=2, ensure_ascii=False)


def test_no_stage_writes_json_by_another_way():
    """json.dumps would write NaN, which most readers refuse."""
    stages = sorted((Path(__file__).parents[2] / "stages").glob("[a-z]*.py"))
    assert len(stages) >= 8
    calls = (node for file in stages for node in ast.walk(ast.parse(file.read_text())))
    assert not [node for node in calls if isinstance(node, ast.Attribute) and node.attr in DUMPS]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_reports_and_lineage_are_json(tmp_path: Path, value: float):
    outcome = Outcome("gptq all.loss", "<= 9", value, False)
    rule = {"rule": "gptq all.loss <= 9", "value": None, "passed": False}
    assert strict(report([outcome])) == {"passed": False, "rules": [rule]}
    lineage.write(tmp_path, [], "merge", {"rounded": value})
    assert strict((tmp_path / "lineage.json").read_text()) == {"merge": {"rounded": None}}
