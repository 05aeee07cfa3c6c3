import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from finery.data.errors import DataError
from finery.data.formats.dataset import open_dataset, read_dataset
from finery.data.formats.examples import Example
from finery.data.rows.bad_rows import BadRow, Tally

GOOD = {"instruction": "q", "input": "", "output": "a"}


def made(folder: Path, rows: list[Any], **entry: Any) -> Path:
    """A folder whose dataset `d` has these rows."""
    info = {"d": {"file_name": "d.json"} | entry}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "d.json").write_text(json.dumps(rows))
    return folder


def read(folder: Path, variables: dict[str, str] | None = None) -> list[Example | BadRow]:
    return list(read_dataset(folder, "d", variables))


def test_texts(tmp_path: Path):
    rows = [{"text": "one"}, {"text": " two\n"}, {"text": " "}]
    *texts, bad = read(made(tmp_path, rows, columns={"prompt": "text"}))
    assert texts == [Example("d", 1, text="one"), Example("d", 2, text=" two\n")]
    assert str(bad) == f"{tmp_path}/d.json: row 3: text: is empty; fill it or remove the row"


def test_preferences_and_verdicts_of_the_alpaca_format(tmp_path: Path):
    columns = {"prompt": "q", "chosen": "good", "rejected": "poor"}
    row = {"q": "?", "good": "yes", "poor": "no"}
    (example,) = read(made(tmp_path, [row], ranking=True, columns=columns))
    yes, no = ({"role": "assistant", "content": said} for said in ("yes", "no"))
    question = {"role": "user", "content": "?"}
    assert example == Example("d", 1, messages=(question,), chosen=yes, rejected=no)
    columns = {"prompt": "q", "response": "good", "kto_tag": "ok"}
    (example,) = read(made(tmp_path, [row | {"ok": False}], columns=columns))
    assert example == Example("d", 1, messages=(question, yes), desirable=False, unread=("poor",))


def test_tools_of_the_alpaca_format(tmp_path: Path):
    columns = {"prompt": "instruction", "response": "output", "tools": "tools"}
    (example,) = read(made(tmp_path, [GOOD | {"tools": '[{"name": "f"}]'}], columns=columns))
    assert isinstance(example, Example)
    assert example.tools == ({"type": "function", "function": {"name": "f"}},)


def test_prompt_or_query_may_be_empty_but_not_both(tmp_path: Path):
    rows = [GOOD | {"instruction": "", "input": "x"}, GOOD | {"instruction": " "}]
    first, second = read(made(tmp_path, rows))
    assert isinstance(first, Example) and first.messages[0]["content"] == "x"
    assert isinstance(second, BadRow) and second.field == "instruction"


@pytest.mark.parametrize("variables", [None, {"a": "b"}])
def test_words_in_braces_that_are_no_variables(tmp_path: Path, variables: dict | None):
    code = "{{ a }} {{a.b}} {{}} {{'x'}} {a} {{#if a}}" + ("{{z}}" if variables is None else "")
    (example,) = read(made(tmp_path, [GOOD | {"output": code}]), variables)
    assert isinstance(example, Example) and example.messages[1]["content"] == code


def test_a_folder_is_read_in_order_and_rows_count_anew_in_each_file(tmp_path: Path):
    made(tmp_path, [], file_name="parts")
    (tmp_path / "parts").mkdir()
    for name, rows in (("b.json", [GOOD]), ("a.jsonl", [GOOD, 3]), (".hidden", [])):
        lines = "\n".join(map(json.dumps, rows))
        (tmp_path / "parts" / name).write_text(json.dumps(rows) if name == "b.json" else lines)
    first, bad, third = read(tmp_path)
    assert isinstance(first, Example) and isinstance(third, Example)
    assert (first.row, third.row) == (1, 1)
    problem = f"{tmp_path}/parts/a.jsonl: row 2: must be an object, not a number"
    assert str(bad) == problem
    (tmp_path / "parts/more.json").mkdir()
    with pytest.raises(DataError, match=r"parts: holds the folder more.json, in which no file is"):
        read(tmp_path)
    (tmp_path / "parts/more.json").rmdir()
    (tmp_path / "parts/c.txt").write_text("x")
    with pytest.raises(DataError, match=r"parts: holds json and txt; keep files of one type$"):
        read(tmp_path)


def test_keywords(tmp_path: Path):
    """They are Finery's own: data that was not made for it may have another column so called."""
    rows = [GOOD | {"keywords": words} for words in (["{{a}}"], [], None, "fish, sea", [3], {})]
    words, none, null, text, number, empty = read(made(tmp_path, rows), {"a": "b"})
    assert [each.keywords for each in (words, none, null, text, empty)] == [  # type: ignore[union-attr]
        ("b",), (), (), (), (),
    ]  # fmt: skip
    assert str(number).endswith("row 5: keywords: must be a string, not 3")
    named = {"prompt": "instruction", "response": "output", "keywords": "keywords"}
    *_, text, _, _ = read(made(tmp_path, rows, columns=named), {"a": "b"})
    assert str(text).endswith("row 4: keywords: must be a list of strings")


def test_a_file_that_is_not_there(tmp_path: Path):
    made(tmp_path, [], file_name="e.json")
    with pytest.raises(DataError, match=r"/e\.json: no such file; see file_name in dataset_info"):
        open_dataset(tmp_path, "d", None)


def test_an_empty_folder(tmp_path: Path):
    made(tmp_path, [], file_name="parts")
    (tmp_path / "parts").mkdir()
    with pytest.raises(DataError, match=r"parts: holds no files; see file_name in dataset_info"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["../d.json", "/etc/hostname", "link.json", "folder", "x/../../y"])
def test_a_file_elsewhere(tmp_path: Path, name: str):
    raw = tmp_path / "raw"
    raw.mkdir()
    made(raw, [GOOD], file_name=name)
    (tmp_path / "d.json").write_text(json.dumps([GOOD]))
    os.symlink(tmp_path / "d.json", raw / "link.json")
    (raw / "folder").mkdir()
    os.symlink(tmp_path / "d.json", raw / "folder/d.json")
    with pytest.raises(DataError) as caught:
        read(raw)
    shown = "folder/d.json" if name == "folder" else name
    where = f"{raw}/dataset_info.json: d.file_name: {shown}"
    assert str(caught.value) == f"{where} leaves the folder; copy it there"


@pytest.mark.parametrize(
    "row, kind, problem",
    [
        ({"output": "a\ud83d"}, "half-character", "output: holds half a character (U+D83D); write"),
        ({"output": "a\0"}, "nul", "output: holds a NUL character; remove it"),
        ({"output": " "}, "empty-answer", "output: is empty; fill it or remove the row"),
        ({"output": 1}, "not-text", "output: must be a string, not 1"),
        ({"output": ["a"]}, "not-text", 'output: must be a string, not ["a"]'),
        ({"instruction": "{{b}}"}, "unfilled-variable", "instruction: {{b}} has no value; set"),
        (
            {"pics": ["a.png"]},
            "media",
            "pics: holds images, and only text can be trained on: the model reads no images;",
        ),
        ({"films": "a.mp4"}, "media", "films: holds videos, and only text can be trained on;"),
    ],
)
def test_rows_that_are_wrong(tmp_path: Path, row: dict, kind: str, problem: str):
    columns = {"prompt": "instruction", "response": "output", "images": "pics", "videos": "films"}
    rows = [GOOD | {"pics": [], "films": None}, GOOD | {"pics": [], "films": None} | row]
    good, bad = read(made(tmp_path, rows, columns=columns), {})
    assert isinstance(good, Example)
    assert isinstance(bad, BadRow) and (bad.row, bad.kind) == (2, kind)
    assert str(bad).startswith(f"{tmp_path}/d.json: row 2: {problem}")
    assert "\n" not in str(bad)


def test_a_column_that_no_row_has(tmp_path: Path):
    columns = {"prompt": "instruction", "response": "output", "history": "histroy"}
    rows = read_dataset(made(tmp_path, [GOOD] * 2, columns=columns), "d", None)
    assert isinstance(next(rows), Example) and isinstance(next(rows), Example)
    with pytest.raises(DataError) as caught:
        next(rows)
    assert str(caught.value) == (
        f'{tmp_path}/dataset_info.json: d.columns: no row has "histroy"; correct the name or'
        " remove it"
    )


def test_a_dataset_goes_to_other_processes(tmp_path: Path):
    dataset = open_dataset(made(tmp_path, [GOOD, 3]), "d", {})
    again = pickle.loads(pickle.dumps(dataset))
    assert again.files == (tmp_path / "d.json",) and again.kind == "chat"
    row, bad = again.rows()
    assert [again.example(pickle.loads(pickle.dumps(row))), bad] == list(dataset)


def test_a_tally_shows_twenty_and_counts_all():
    tally = Tally()
    rows = [BadRow("f", n, "output", "nul" if n % 3 else "empty-answer", "x") for n in range(1, 31)]
    assert list(tally.add_all(["good", *rows])) == ["good"]
    assert tally.lines() == [
        *[f"f: row {n}: output: x" for n in range(1, 21)],
        "30 bad rows, the first 20 shown: 20 nul, 10 empty-answer",
    ]
    one = Tally()
    one.add(rows[0])
    assert one.lines() == ["f: row 1: output: x"] and Tally().lines() == []
