"""Columns that no entry reads: an error where the format has a place for them, or said once."""

import json
from pathlib import Path
from typing import Any

import pytest

from finery.data.errors import DataError
from finery.data.formats.dataset import check_datasets, read_dataset
from finery.data.formats.examples import Example
from finery.data.formats.unread import UnreadError

ALPACA = {"instruction": "q", "input": "", "output": "a"}
TURNS = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
TALK = {"conversations": TURNS}
SHAREGPT = {"formatting": "sharegpt", "columns": {"messages": "conversations"}}
RANKED = SHAREGPT | {
    "ranking": True,
    "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
}
ANSWERED = {"conversations": TURNS[:1], "chosen": TURNS[1], "rejected": TURNS[1]}
READ = {"prompt": "instruction", "query": "input", "response": "output"}
PAIRS = [["b", "c"]]


def dataset(folder: Path, entry: dict[str, Any], *rows: dict[str, Any]) -> Path:
    info = {"d": {"file_name": "d.json"} | entry}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "d.json").write_text(json.dumps(rows))
    return folder


def read(folder: Path, entry: dict[str, Any], *rows: dict[str, Any]) -> list[Any]:
    return list(read_dataset(dataset(folder, entry, *rows), "d", {}))


@pytest.mark.parametrize(
    "entry, row, column, way",
    [
        ({}, ALPACA | {"system": "s"}, '"system"', {"columns": READ | {"system": "system"}}),
        ({}, ALPACA | {"history": PAIRS}, '"history"', {"columns": READ | {"history": "history"}}),
        ({"columns": READ}, ALPACA | {"tools": [1]}, '"tools"',
         {"columns": READ | {"tools": "tools"}}),
        ({}, ALPACA | {"system_prompt": "s"}, '"system_prompt"',
         {"columns": READ | {"system": "system_prompt"}}),
        ({}, {"instruction": "q", "query": "x", "output": "a"}, '"query"',
         {"columns": {"prompt": "instruction", "response": "output", "query": "query"}}),
        ({"columns": {"prompt": "instruction"}}, {"instruction": "q", "output": "a"}, '"output"',
         {"columns": {"prompt": "instruction", "response": "output"}}),
        ({}, ALPACA | {"images": ["x.png"]}, '"images"', {"columns": READ | {"images": "images"}}),
        ({}, ALPACA | {"label": False}, '"label"', {"columns": READ | {"kto_tag": "label"}}),
        ({}, ALPACA | {"rejected": "b"}, '"rejected"',
         {"columns": {"chosen": "output", "rejected": "rejected", "prompt": "instruction",
                      "query": "input"}, "ranking": True}),
        (SHAREGPT, TALK | {"tools": '[{"name": "f"}]'}, '"tools"',
         {"columns": {"messages": "conversations", "tools": "tools"}}),
        (SHAREGPT, TALK | {"system": "s"}, '"system"',
         {"columns": {"messages": "conversations", "system": "system"}}),
        (RANKED, ANSWERED | {"system": "s"}, '"system"',
         {"columns": RANKED["columns"] | {"system": "system"}}),
        (SHAREGPT, TALK | {"label": True}, '"label"',
         {"columns": {"messages": "conversations", "kto_tag": "label"}}),
        ({"formatting": "sharegpt"}, {"messages": TURNS}, '"messages"',
         {"columns": {"messages": "messages"}}),
    ],
)  # fmt: skip
def test_columns_that_have_a_place(tmp_path: Path, entry: dict, row: dict, column: str, way: dict):
    with pytest.raises(UnreadError) as caught:
        read(tmp_path, entry, row)
    ways = json.dumps(way, ensure_ascii=False)[1:-1]
    assert str(caught.value) == (
        f"{tmp_path}/d.json: row 1: column {column}: not read, and not empty; set {ways},"
        f' or "ignore": [{column}] in its entry in dataset_info.json'
    )
    # With what the error says, the column is read, or is what it must not be.
    again = read(tmp_path, entry | way, row)
    assert not isinstance(again[0], Example) or again[0].unread == ()
    ignored = read(tmp_path, entry | {"ignore": [json.loads(column)]}, row)
    assert not isinstance(ignored[0], Example) or ignored[0].unread == ()


def test_a_preference_without_ranking(tmp_path: Path):
    columns = {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"}
    entries = ({"columns": columns | {"response": "chosen"}}, {"columns": READ}, {})
    row = {"instruction": "q", "output": "", "chosen": "yes", "rejected": "no"}
    for entry in entries:
        with pytest.raises(UnreadError, match='"ranking": true'):
            read(tmp_path, entry, row)
    with pytest.raises(UnreadError, match=r'columns "chosen", "rejected": .*"ranking": true'):
        read(tmp_path, SHAREGPT, ANSWERED)
    (example,) = read(tmp_path, {"columns": columns, "ranking": True}, row)
    assert (example.chosen["content"], example.rejected["content"]) == ("yes", "no")


def test_several_at_once_and_what_they_say_afterwards(tmp_path: Path):
    row = ALPACA | {"input": "x", "system": "Answer as a pirate.", "history": PAIRS}
    with pytest.raises(DataError, match='columns "system", "history": not read, and not empty'):
        read(tmp_path, {}, row)
    entry = {"columns": READ | {"system": "system", "history": "history"}}
    (example,) = read(tmp_path, entry, row)
    assert [message["content"] for message in example.messages] == [
        "Answer as a pirate.", "b", "c", "q\nx", "a",
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["weight", "train", "loss", "reasoning_content", "thinking"])
def test_what_only_messages_can_say(tmp_path: Path, key: str):
    for entry, row in (({}, ALPACA), (SHAREGPT, TALK)):
        with pytest.raises(UnreadError, match=f'^.*: row 2: column "{key}": not read, and not emp'):
            read(tmp_path, entry, row | {key: None}, row | {key: "Hm."})
        (example,) = read(tmp_path, entry | {"ignore": [key]}, row | {key: "Hm."})
        assert isinstance(example, Example)


def test_a_weight_of_one_changes_nothing(tmp_path: Path):
    rows = read(tmp_path, {}, ALPACA | {"weight": 1}, ALPACA | {"train": True})
    assert [row.unread for row in rows] == [("weight",), ("train",)]


@pytest.mark.parametrize("nothing", [None, "", " ", [], {}, "[]", [[]], [["", None]]])
def test_what_says_nothing_is_passed_over(tmp_path: Path, nothing: Any):
    empty = dict.fromkeys(("system", "history", "tools", "images", "id", "rejected"), nothing)
    for entry, row in (({}, ALPACA), (SHAREGPT, TALK)):
        (example,) = read(tmp_path, entry, row | empty)
        assert isinstance(example, Example) and example.unread == ()


def test_other_columns_are_said_once(tmp_path: Path, capsys):
    rows = [ALPACA | {"id": n, "source": "web" if n else None, "label": "x"} for n in range(3)]
    assert check_datasets(dataset(tmp_path, {}, *rows), ["d"], None) == []
    assert capsys.readouterr().out.splitlines() == [
        "d: 3 rows, chat: all good",
        "d: not read: id in 3 rows, label in 3 rows, source in 2 rows;"
        ' "ignore" in its entry says that this is right',
    ]
    ignore = {"ignore": ["id", "label", "source"]}
    assert check_datasets(dataset(tmp_path, ignore, *rows), ["d"], None) == []
    assert capsys.readouterr().out.splitlines() == ["d: 3 rows, chat: all good"]


def test_keywords_that_are_a_text_are_said(tmp_path: Path):
    texts, words = read(tmp_path, {}, ALPACA | {"keywords": "a, b"}, ALPACA | {"keywords": ["a"]})
    assert (texts.unread, texts.keywords) == (("keywords",), ())
    assert (words.unread, words.keywords) == ((), ("a",))


def test_a_check_that_fails_names_the_column(tmp_path: Path):
    folder = dataset(tmp_path, {}, ALPACA, ALPACA | {"system": "s"})
    (problem,) = check_datasets(folder, ["d"], None)
    assert problem.startswith(f'{tmp_path}/d.json: row 2: column "system": not read')


def test_ignoring_what_is_read(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, {"ignore": ["input"]}, ALPACA)
    assert str(caught.value) == (
        f"{tmp_path}/dataset_info.json: d.ignore: 'input' is columns.query; remove it from one of"
        " them"
    )


@pytest.mark.parametrize(
    "header, column",
    [
        ("instruction, input,output", '" input"'),
        ("instruction,input ,output", '"input "'),
        ("instruction,\ufeffinput,output", '"\ufeffinput"'),
        ("instruction,Input,output", '"Input"'),
        ('instruction," input",output', '" input"'),
    ],
)
def test_headers_that_are_nearly_the_name(tmp_path: Path, header: str, column: str):
    (tmp_path / "dataset_info.json").write_text(json.dumps({"d": {"file_name": "d.csv"}}))
    file = tmp_path / "d.csv"
    file.write_text(f"{header}\nTranslate:,,Yes\nTranslate:,Guten Tag,Good day\n")
    with pytest.raises(UnreadError) as caught:
        list(read_dataset(tmp_path, "d", {}))
    said = str(caught.value)
    assert said.startswith(f"{file}: row 2: column {column}: not read, and not empty;")
    assert ("rename" in said) == (column != '"Input"')
    assert f'"query": {column}' in said
    entry = {"file_name": "d.csv", "columns": READ | {"query": json.loads(column)}}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"d": entry}))
    _, example = read_dataset(tmp_path, "d", {})
    assert isinstance(example, Example)
    assert example.messages[0]["content"] == "Translate:\nGuten Tag"


@pytest.mark.parametrize("start", ["", "\ufeff", "\ufeff\ufeff"])
def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path, start: str):
    (tmp_path / "dataset_info.json").write_text(json.dumps({"d": {"file_name": "d.csv"}}))
    (tmp_path / "d.csv").write_text(f"{start}input,instruction,output\nx,q,a\n")
    if start == "\ufeff\ufeff":
        with pytest.raises(UnreadError, match="rename"):
            list(read_dataset(tmp_path, "d", {}))
        return
    (example,) = read_dataset(tmp_path, "d", {})
    assert isinstance(example, Example) and example.messages[0]["content"] == "q\nx"


def test_a_column_without_a_name_is_the_index_of_a_table(tmp_path: Path, capsys):
    (tmp_path / "dataset_info.json").write_text(json.dumps({"d": {"file_name": "d.csv"}}))
    (tmp_path / "d.csv").write_text(",instruction,input,output\n0,q,,a\n1,q,x,a\n")
    assert check_datasets(tmp_path, ["d"], None) == []
    assert 'd: not read: "" in 2 rows;' in capsys.readouterr().out
