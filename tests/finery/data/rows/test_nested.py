import datetime
import decimal
import json
from typing import Any

import pytest

from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import Fields
from finery.data.rows.nested import decoded, opened, plain

ROW = Fields({}, {"a": "A", "b": "A"})


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_plain_values_stay_and_texts_are_filled():
    value = {"x": [1, 2.5, True, None, "{{a}}", {"{{a}}": []}], "y": 10**400, "z": {}}
    filled = {"x": [1, 2.5, True, None, "A", {"A": []}], "y": 10**400, "z": {}}
    assert plain(ROW, "t", value) == filled
    assert plain(Fields({}, None), "t", "{{a}}") == "{{a}}"
    assert plain(ROW, "t", deep(100)) == deep(100)


def test_a_key_of_null_is_no_key_but_a_null_in_a_list_is_a_value():
    value = {"a": None, "b": {"c": None}, "d": [None, {"e": None}], "f": 0, "g": "", "h": False}
    assert plain(ROW, "t", value) == {
        "b": {}, "d": [None, {}], "f": 0, "g": "", "h": False,
    }  # fmt: skip
    assert plain(ROW, "t", value, nulls=True) == value


@pytest.mark.parametrize(
    "value, field, kind, problem",
    [
        ({"x": ["a", "\ud83d"]}, "t.x.1", "half-character",
         "holds half a character (U+D83D); write all of it"),
        ({"x": {"\ud83d": 1}}, "t.x", "half-character",
         "a key holds half a character (U+D83D); write all of it"),
        ({"x": "a\0"}, "t.x", "nul", "holds a NUL character; remove it"),
        ([{"\0": 1}], "t.0", "nul", "a key holds a NUL character; remove it"),
        ({"x": float("inf")}, "t.x", "not-a-number",
         "must be a finite number, not inf; write null or a string"),
        ([0.5, float("nan")], "t.1", "not-a-number",
         "must be a finite number, not nan; write null or a string"),
        ({"x": "{{c}}"}, "t.x", "unfilled-variable", "{{c}} has no value; set data.variables.c, or"
         " data.variables to null if such words are to stay"),
        ({"{{a}}": 1, "{{b}}": 2}, "t", "duplicate-key",
         "has two keys that data.variables make one; rename one"),
        ({"x": datetime.date(2020, 1, 2)}, "t.x", "not-json",
         "is of the type date (2020-01-02), which JSON does not have; store a string"),
        ({"x": decimal.Decimal("1.10")}, "t.x", "not-json",
         "is of the type Decimal (1.10), which JSON does not have; store a string"),
        ([b"ab"], "t.0", "not-json",
         "is of the type bytes (b'ab'), which JSON does not have; store a string"),
        (deep(101), "t" + ".0" * 29 + "....", "too-deep",
         "is more than 100 deep in lists and objects; write it flatter"),
        ({"x": {1: "a"}}, "t.x", "not-json", "has the key 1; store it as a string"),
    ],
)  # fmt: skip
def test_values_that_are_wrong(value: Any, field: str, kind: str, problem: str):
    with pytest.raises(FieldError) as caught:
        plain(ROW, "t", value)
    assert (caught.value.field, caught.value.kind, str(caught.value)) == (field, kind, problem)


@pytest.mark.parametrize(
    "value, held",
    [
        ('[{"a": null}]', [{"a": None}]),
        (' {"a": "b"}\n', {"a": "b"}),
        ("[sea] fish", "[sea] fish"),
        ("['a']", "['a']"),
        ('"a"', '"a"'),
        ("7", "7"),
        ("", ""),
        (None, None),
        ([1], [1]),
    ],
)
def test_a_text_is_opened_if_it_is_json_of_a_list_or_an_object(value: Any, held: Any):
    assert opened("c", value) == held


@pytest.mark.parametrize(
    "text, kind, problem",
    [
        ('[{"a": 1, "a": 2}]', "duplicate-key", "a is written twice in one object; keep one"),
        ("[NaN]", "not-a-number", "holds NaN, which is not JSON; write null"),
    ],
)
def test_json_that_has_lost_something(text: str, kind: str, problem: str):
    for read in (opened, lambda field, value: decoded(field, value, "tool-json")):
        with pytest.raises(FieldError) as caught:
            read("c", text)
        assert (caught.value.field, caught.value.kind, str(caught.value)) == ("c", kind, problem)


@pytest.mark.parametrize("text", ["[{'a': \"b's\"}]", " {'a': None}"])
def test_what_python_prints_is_no_json(text: str):
    with pytest.raises(FieldError) as caught:
        opened("c", text)
    said = f"is written as Python prints it, not as JSON: {json.dumps(text)}; use json.dumps"
    assert (caught.value.field, caught.value.kind, str(caught.value)) == ("c", "not-json", said)


def test_a_text_that_must_be_json():
    assert decoded("c", "[null]", "tool-json") == [None]
    with pytest.raises(FieldError, match=r'^not JSON \(expecting value\): "x"$') as caught:
        decoded("c", "x", "tool-json")
    assert (caught.value.field, caught.value.kind) == ("c", "tool-json")
