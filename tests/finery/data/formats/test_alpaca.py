import json
from pathlib import Path
from typing import Any

import pytest

from finery.data.formats.dataset import read_dataset
from finery.data.formats.examples import Example
from finery.data.rows.bad_rows import BadRow

TRAINED = {"instruction": "Who?", "input": "", "output": "I am {{name}} of {{ name }}."}
COLUMNS = {"prompt": "q", "query": "more", "response": "a", "system": "sys", "history": "past"}


def dataset(folder: Path, row: dict[str, Any], columns: dict[str, str] | None = None) -> Path:
    entry = {"file_name": "d.json"} | ({"columns": columns} if columns else {})
    (folder / "dataset_info.json").write_text(json.dumps({"d": entry}))
    (folder / "d.json").write_text(json.dumps([row]))
    return folder


def said(*turns: str) -> tuple[dict[str, str], ...]:
    """Messages written as "u: text"."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return tuple({"role": roles[turn[0]], "content": turn[3:]} for turn in turns)


@pytest.mark.parametrize(
    "row, columns, expected",
    [
        ({"instruction": "q", "output": "a"}, None, said("u: q", "a: a")),
        ({"instruction": "q", "input": "x", "output": "a"}, None, said("u: q\nx", "a: a")),
        ({"instruction": "q", "input": " ", "output": "a"}, None, said("u: q", "a: a")),
        ({"instruction": "q", "input": None, "output": " a\n"}, None, said("u: q", "a:  a\n")),
        ({"instruction": "q", "output": "a", "system": " ", "history": [["", None]]}, None,
         said("u: q", "a: a")),
        ({"q": "q", "more": "x", "a": "a", "sys": "s", "past": [["1", "2"], ["3", "4"]]}, COLUMNS,
         said("s: s", "u: 1", "a: 2", "u: 3", "a: 4", "u: q\nx", "a: a")),
        ({"q": "q", "more": "", "a": "a", "sys": "", "past": None}, COLUMNS, said("u: q", "a: a")),
        ({"q": "谁?", "more": None, "a": "我😀", "sys": " ", "past": []}, COLUMNS,
         said("u: 谁?", "a: 我😀")),
    ],
)  # fmt: skip
def test_rows_are_conversations(tmp_path: Path, row: dict, columns: dict | None, expected: tuple):
    (example,) = read_dataset(dataset(tmp_path, row, columns), "d", {})
    assert isinstance(example, Example)
    assert example.messages == expected
    assert (example.dataset, example.row, example.keywords) == ("d", 1, ())


def test_placeholders_are_filled_everywhere(tmp_path: Path):
    row = {"instruction": "{{a}}", "output": "{{b}}{{a}} { {{ b }} }", "keywords": ["{{b}}!"]}
    (example,) = read_dataset(dataset(tmp_path, row), "d", {"a": "x{{b}}", "b": r"\1"})
    assert isinstance(example, Example)
    assert example.messages == said("u: x{{b}}", r"a: \1x{{b}} { {{ b }} }")
    assert example.keywords == (r"\1!",)


@pytest.mark.parametrize(
    "history, problem",
    [
        ("b", "past: must be a list of [question, answer] pairs"),
        ([["b"]], "past: must be a list of [question, answer] pairs"),
        ([{"q": "b"}], "past: must be a list of [question, answer] pairs"),
        ([["b", 3]], "past: must be a string, not 3"),
        ([["b", " "]], "past: is empty; fill it or remove the row"),
    ],
)
def test_a_history_that_is_none(tmp_path: Path, history: Any, problem: str):
    row = {"q": "q", "more": "", "a": "a", "sys": "", "past": history}
    dataset(tmp_path, row, COLUMNS)
    (bad,) = read_dataset(tmp_path, "d", {})
    assert isinstance(bad, BadRow) and str(bad) == f"{tmp_path}/d.json: row 1: {problem}"
