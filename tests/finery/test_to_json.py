"""What is written as JSON is JSON, whatever the numbers are."""

import json
import math
from typing import Any

from finery.to_json import to_json


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
