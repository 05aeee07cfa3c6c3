from pathlib import Path

import pytest

from finery.data.errors import DataError
from finery.data.rows import read_rows

ROWS = [{"a": "鱼"}, {"a": "b\u2028c"}]
ARRAY = '[{"a": "鱼"},\n {"a": "b\u2028c"}]'
LINES = '{"a": "鱼"}\n\n{"a": "b\u2028c"}\n'


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("name, text", [("d.json", ARRAY), ("d.jsonl", LINES)])
def test_json_and_jsonl_hold_the_same_rows(
    tmp_path: Path, bom: bytes, newline: str, name: str, text: str
):
    (tmp_path / name).write_bytes(bom + text.replace("\n", newline).encode())
    assert read_rows(tmp_path / name) == ROWS


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("d.jsonl", '{"a": 1}\n\n{"a": }\n', "d.jsonl:3: not JSON at column 7: expecting value"),
        ("d.jsonl", "\n \n", "d.jsonl: has no rows"),
        ("d.jsonl", '{"a": 1}\n[1]\n', "d.jsonl: row 2: must be an object, not an array"),
        ("d.json", "[true]", "d.json: row 1: must be an object, not true or false"),
        ("d.json", "3", "d.json: must be an array of objects, not a number"),
        ("d.csv", "a\n1\n", "d.csv: .csv: only .json and .jsonl are read"),
        ("d", "[]", "d: no suffix: only .json and .jsonl are read"),
    ],
)
def test_what_is_wrong_and_where(tmp_path: Path, name: str, text: str, said: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_rows(tmp_path / name)
    assert str(caught.value) == f"{tmp_path}/{said}"
