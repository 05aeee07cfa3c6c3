import csv
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finery.data.errors import DataError
from finery.data.rows import json_rows
from finery.data.rows.bad_rows import BadRow
from finery.data.rows.files import read_rows
from finery.data.rows.lines import LONGEST_ROW

ROWS = [{"a": "鱼"}, {"a": "b\u2028c"}]
ARRAY = '[{"a": "鱼"},\n {"a": "b\u2028c"}]'
LINES = '{"a": "鱼"}\n\n{"a": "b\u2028c"}\n'
DEEP = '{"a": ' * 201 + "1" + "}" * 201
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
    max_size=3),
)  # fmt: skip


def values(file: Path) -> list[Any]:
    """The rows; the numbers and files are asserted on the way."""
    rows = list(read_rows(file))
    assert [(row.file, row.number) for row in rows] == [
        (str(file), n + 1) for n in range(len(rows))
    ]
    return [row.values for row in rows]


def said(file: Path) -> list[str]:
    """What is wrong with the rows of a file, without its name."""
    bad = [row for row in read_rows(file) if isinstance(row, BadRow)]
    return [str(row).removeprefix(f"{file}: ") for row in bad]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "name, text",
    [("d.json", ARRAY), ("d.jsonl", LINES), ("d.json", LINES), ("d.jsonl", ARRAY),
     ("d.csv", 'a\n鱼\n\n"b\u2028c"\n'), ("d.json", "\n " + LINES)],
)  # fmt: skip
def test_text_formats_hold_the_same_rows(
    tmp_path: Path, bom: bytes, newline: str, name: str, text: str
):
    (tmp_path / name).write_bytes(bom + text.replace("\n", newline).encode())
    assert values(tmp_path / name) == ROWS


@pytest.mark.parametrize("name, text", [("d.jsonl", LINES), ("d.txt", "鱼\nb\u2028c\n")])
def test_files_that_were_joined_have_byte_order_marks_within(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\xef\xbb\xbf" + text.encode())
    key = "text" if name == "d.txt" else "a"
    assert [row[key] for row in values(tmp_path / name)] == ["鱼", "b\u2028c"] * 2


def test_tables_hold_the_same_rows(tmp_path: Path):
    table = pa.Table.from_pylist(ROWS * 1500)
    pq.write_table(table, tmp_path / "d.parquet")
    for name, writer in (("file", pa.ipc.new_file), ("stream", pa.ipc.new_stream)):
        with writer(tmp_path / f"{name}.arrow", table.schema) as sink:
            sink.write_table(table, max_chunksize=2000)
    for name in ("d.parquet", "file.arrow", "stream.arrow"):
        assert values(tmp_path / name) == ROWS * 1500


@pytest.mark.parametrize("name", ["d.json", "d.jsonl"])
def test_integers_are_whole_and_many_brackets_are_not_deep(tmp_path: Path, name: str):
    row = {"a": 10**4299, "b": -(2**64), "c": [[n] for n in range(1000)], "d": "[" * 1000}
    (tmp_path / name).write_text(f"[{json.dumps(row)}]" if name == "d.json" else json.dumps(row))
    assert values(tmp_path / name) == [row]


def test_an_array_may_have_its_lines_end_in_cr(tmp_path: Path):
    (tmp_path / "d.json").write_bytes(ARRAY.replace("\n", "\r").encode())
    assert values(tmp_path / "d.json") == ROWS


def test_csv(tmp_path: Path):
    file = tmp_path / "d.csv"
    with file.open("w", newline="") as stream:
        rows = [["q", "ok"], ['say "hi",\nthen 1', " True"], ["007", "false"], ["NA", "no"]]
        csv.writer(stream).writerows(rows)
    assert [row.values for row in read_rows(file, tag="ok")] == [
        {"q": 'say "hi",\nthen 1', "ok": True}, {"q": "007", "ok": False}, {"q": "NA", "ok": "no"},
    ]  # fmt: skip


def test_a_text_has_a_row_a_line(tmp_path: Path):
    (tmp_path / "d.txt").write_bytes(b"\xef\xbb\xbf one \r\n\n \ntwo\x0c\xe2\x80\xa8still two")
    assert values(tmp_path / "d.txt") == [{"text": " one "}, {"text": "two\x0c\u2028still two"}]


@given(st.lists(JSON, max_size=5), st.integers(1, 40), st.booleans(), st.data())
def test_an_array_in_any_pieces_is_what_json_says(
    tmp_path_factory: pytest.TempPathFactory, elements: list, chunk: int, flat: bool, data: Any
):
    file = tmp_path_factory.getbasetemp() / "pieces.json"
    text = json.dumps(elements, ensure_ascii=flat, indent=None if flat else 1).encode()
    cut = data.draw(st.none() | st.integers(1, len(text) - 1))
    file.write_bytes(text[:cut])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "CHUNK", chunk)
        rows = json_rows.element_rows(file)
        if cut is None:
            assert [(number, value) for number, value, _ in rows] == [*enumerate(elements, 1)]
        else:
            with pytest.raises(DataError, match=r"pieces\.json:") as caught:
                list(rows)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, content, problem",
    [
        ("d.jsonl", "\n \n", ": the file is empty"),
        ("d.json", "3", ": must be an array of objects, or hold an object a line"),
        ("d.json", '{\n "a": 1\n}', ": must be an array of objects, or hold an object a line"),
        ("d.json", "[]", ": has no rows"),
        ("d.json", "[{}\n, ]", ":2: not JSON at column 3: a comma too many; remove it"),
        ("d.json", '[{"a": 1,}]', ":1: not JSON at column 10: a comma too many; remove it"),
        ("d.json", '[{"a": [1, }]', ":1: not JSON at column 12: a comma too many; remove it"),
        ("d.jsonl", "{}\r{}\r", ": its lines end in CR; save the file with LF"),
        ("d.txt", "a\rb", ": its lines end in CR; save the file with LF"),
        ("d.csv", "a\r1\r", ": its lines end in CR; save the file with LF"),
        ("d.csv", 'a\nb\rc\n', ":2: not CSV: new-line character seen in unquoted field; quote it as"
         " CSV"),
        ("d.json", "[{}\n{}]", ":2: not JSON at column 1: expecting ',' or ']'"),
        ("d.json", "[{}]\n[]", ":2: not JSON at column 1: there is more after the array's end"),
        ("d.json", '[{"a":\n"b"},\n{"a": "c', ":3: cut off in or after row 2; get the whole file"),
        ("d.json", '[{"a": "b"}', ":1: cut off in or after row 1; get the whole file"),
        ("d.json", "[{},", ":1: cut off in or after row 2; get the whole file"),
        ("d.json", '[{"a": "b",\n "b": c}]', ":2: not JSON at column 7: expecting value"),
        ("d.json", "[" * 100000, ":1: not JSON at column 2: too deeply nested"),
        ("d.json", '[{"a": "b\0"}]', ":1: not JSON at column 10: invalid control character"),
        ("d.json", '[\n{"a": "鱼"}]'.encode("gbk"),
         ": line 2 is not UTF-8 but perhaps GBK; save the file as UTF-8"),
        ("d.json", ARRAY.encode("utf-16"), ": UTF-16; save the file as UTF-8"),
        ("d.jsonl", LINES.encode("utf-16-le"), ": UTF-16; save the file as UTF-8"),
        ("d.txt", LINES.encode("utf-32"), ": UTF-32; save the file as UTF-8"),
        ("d.csv", "a\n".encode("utf-16"), ": UTF-16; save the file as UTF-8"),
        ("d.csv", b"a\nb\nc\xff\n", ": line 3 is not UTF-8; save the file as UTF-8"),
        ("d.csv", 'a\n"b\n', ":2: not CSV: unexpected end of data; quote it as CSV"),
        ("d.csv", "a\n", ": has no rows"),
        ("d.csv", "a,b,a\n1,2,3\n", ": column 'a' is there twice; rename one"),
        ("d.csv", "a;b;c\n1;2;3\n", ": the header is one cell, 'a;b;c', with semicolons in it;"
         " save the file with commas between the cells"),
        ("d.csv", "a\tb\n1\t2\n", ": the header is one cell, 'a\\tb', with tabs in it;"
         " save the file with commas between the cells"),
        ("d.tsv", "a\n1\n", ": .tsv: cannot be read; use .json, .jsonl, .csv, .parquet, .arrow,"
         " .txt"),
        ("d", "[]", ": no suffix: cannot be read; use .json, .jsonl, .csv, .parquet, .arrow, .txt"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_on(
    tmp_path: Path, name: str, content: str | bytes, problem: str
):
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        list(read_rows(tmp_path / name))
    assert str(caught.value) == f"{tmp_path / name}{problem}"


@pytest.mark.parametrize("name", ["d.parquet", "d.arrow"])
def test_a_damaged_table(tmp_path: Path, name: str):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "whole.parquet")
    cut = (tmp_path / "whole.parquet").read_bytes()[:-20]
    for content in (b"", b"ARROW1 no", b"\0" + cut if name == "d.arrow" else cut):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: not \w+, or damaged \(.*; get the file"):
            list(read_rows(tmp_path / name))


@pytest.mark.parametrize(
    "name, content, problems",
    [
        ("d.json", '[{}, true, "x", null, [], 1.5]',
         [f"row {n}: must be an object, not {kind}" for n, kind in
          ((2, "true or false"), (3, "a string"), (4, "null"), (5, "an array"), (6, "a number"))]),
        ("d.jsonl", '{"a": 1}\n\n{"a": }\n[]\n{"a": 2}',
         ["row 2: not JSON at line 3, column 7: expecting value",
          "row 3: must be an object, not an array"]),
        ("d.jsonl", b'{"a": 1}\n{"a": "caf\xe9"}\n{"a": "\xd3\xe3"}\n',
         ["row 2: line 2 is not UTF-8; save the file as UTF-8",
          "row 3: line 3 is not UTF-8 but perhaps GBK; save the file as UTF-8"]),
        ("d.jsonl", '{"a": 1}\n{"a": \r\n{"a": 1}', ["row 2: not JSON at line 2, column 7:"
          " expecting value"]),
        ("d.jsonl", '{"a": 1}\n{"a": "b\0"}', ["row 2: not JSON at line 2, column 9:"
          " invalid control character"]),
        ("d.json", '[{"a": {"b": 1, "b": 1}}, {"a": 1}, {"a": 1, "a": 2}]',
         ["row 1: b: is written twice in one object; keep one",
          "row 3: a: is written twice in one object; keep one"]),
        ("d.jsonl", '{"a": 1},\n{"a": [1,]}\n', [
            "row 1: not JSON at line 1, column 9: a comma too many; remove it",
            "row 2: not JSON at line 2, column 10: a comma too many; remove it"]),
        ("d.json", f'[{{"a": {"9" * 5000}}}, {{}}, {{"a": -{"9" * 4301}}}]',
         ["row 1: holds a number of 5000 digits; write it as a string",
          "row 3: holds a number of 4302 digits; write it as a string"]),
        ("d.json", f'[{{"a": {"[" * 199 + "]" * 199}}}, {DEEP}]',
         ["row 2: holds values more than 200 deep in others; write it flatter"]),
        ("d.jsonl", '{"a": ' + "[" * 1000 + "]" * 1000 + "}",
         ["row 1: not JSON at line 1: too deeply nested"]),
        ("d.json", '[{"a": NaN}, {"a": [-Infinity]}]',
         ["row 1: holds NaN, which is not JSON; write null",
          "row 2: holds -Infinity, which is not JSON; write null"]),
        ("d.txt", b"one\n\xff\n", ["row 2: line 2 is not UTF-8; save the file as UTF-8"]),
        ("d.csv", "a,b\n1,2\n1\n1,2,3\n",
         ["row 2: has 1 cells, the header 2; quote the commas",
          "row 3: has 3 cells, the header 2; quote the commas"]),
    ],
)  # fmt: skip
def test_bad_rows_are_in_their_places(
    tmp_path: Path, name: str, content: str | bytes, problems: list[str]
):
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    assert said(tmp_path / name) == problems


@pytest.fixture
def long_line(tmp_path: Path) -> Path:
    """Three rows, of which the second is a line of 200 MB."""
    file = tmp_path / "d.jsonl"
    with file.open("wb") as stream:
        stream.write(b'{"a": "b"}\n{"a": "')
        for _ in range(200):
            stream.write(b"x" * 1_000_000)
        stream.write(b'"}\n{"a": "c"}\n')
    return file


def peak(file: Path) -> tuple[list[Any], int]:
    tracemalloc.start()
    try:
        return list(read_rows(file)), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_line_of_200_mb_is_passed_over_in_little_memory(long_line: Path):
    (first, bad, last), memory = peak(long_line)
    assert (first.values, last.values, last.number) == ({"a": "b"}, {"a": "c"}, 3)
    assert str(bad) == f"{long_line}: row 2: is longer than 16 MiB; split it or remove it"
    assert memory < 3 * LONGEST_ROW


def test_an_element_of_200_mb_ends_the_reading_in_little_memory(long_line: Path):
    lines = long_line.read_bytes().splitlines()
    long_line.write_bytes(b"[" + b",\n".join(lines) + b"]")
    tracemalloc.start()
    with pytest.raises(DataError, match=r": row 2: is longer than 16 MiB; split it or remove it$"):
        list(read_rows(long_line))
    assert tracemalloc.get_traced_memory()[1] < 6 * LONGEST_ROW
    tracemalloc.stop()


@pytest.mark.parametrize("lines", [False, True])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, lines: bool):
    file, row = tmp_path / "d.json", json.dumps({"a": "b" * 1000})
    file.write_text(("%s\n" * 20000 if lines else f"[{'%s,' * 19999}%s]") % ((row,) * 20000))
    tracemalloc.start()
    assert sum(1 for _ in read_rows(file)) == 20000
    assert tracemalloc.get_traced_memory()[1] < 8_000_000 < file.stat().st_size
    tracemalloc.stop()
