"""The same rows give the same tokens, whatever kind of file they are in."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from finery.data.formats.dataset import read_dataset
from finery.data.formats.examples import Example
from finery.data.rendering.chat import Renderer
from finery.data.rendering.samples import Sample

TEMPLATE = Path(__file__).resolve().parents[3] / "templates" / "chatml_tools.jinja"
FORMATS = ("json", "jsonl", "csv", "parquet", "file.arrow", "stream.arrow")
Rows = list[dict[str, Any]]


def weather(**more: Any) -> dict[str, Any]:
    properties = {"city": {"type": "string"}} | more
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    return {"name": "weather", "description": "of a city", "parameters": parameters}


STOCK = {"name": "stock", "parameters": {"type": "object", "properties": {"code": {
    "type": "integer", "enum": [1, 7], "range": {"low": 0.5, "high": None}}}}}  # fmt: skip
SHAREGPT = {"formatting": "sharegpt", "columns": {"messages": "said", "tools": "tools",
            "system": "sys"}}  # fmt: skip
OPENAI = {
    "formatting": "openai",
    "columns": {"messages": "said", "tools": "tools"},
    "tags": {
        "role_tag": "role", "content_tag": "content", "user_tag": "user",
        "assistant_tag": "assistant", "observation_tag": "tool", "function_tag": "function",
        "system_tag": "system",
    },
}  # fmt: skip
RANKED = {"formatting": "sharegpt", "ranking": True, "columns": {"messages": "said",
          "chosen": "yes", "rejected": "no"}}  # fmt: skip


def turns(*calls: tuple[str, Any], content: str | None = "") -> Rows:
    """A question, calls of tools, their result, and an answer."""
    made = [{"id": name, "function": {"name": name, "arguments": given}} for name, given in calls]
    asked = {"role": "assistant", "tool_calls": made}
    return [
        {"role": "user", "content": "What now?"},
        asked if content is None else asked | {"content": content},
        {"role": "tool", "content": "rain", "tool_call_id": calls[0][0]},
        {"role": "assistant", "content": "Rain."},
    ]


def shared(*said: str) -> Rows:
    people = ("human", "gpt", "human", "gpt")
    return [{"from": by, "value": words} for by, words in zip(people, said, strict=False)]


CALL = json.dumps({"name": "weather", "arguments": {"city": "Oslo", "unit": None}})
SHAPES: dict[str, tuple[dict[str, Any], Rows]] = {
    "texts alone": ({}, [
        {"instruction": "Who, \"you\"?", "input": "a\nb\r\nc", "output": "ünï ☃ 007"},
        {"instruction": "NA", "input": None, "output": "null"},
    ]),
    "a history": ({"columns": {"prompt": "q", "response": "a", "history": "past"}}, [
        {"q": "c?", "a": "d", "past": [["a?", "b"]]}, {"q": "c?", "a": "d", "past": []},
        {"q": "c?", "a": "d", "past": None},
    ]),
    "messages": (SHAREGPT, [
        {"said": shared("Hi", "Yo"), "sys": "Be kind.", "tools": None},
        {"said": shared("Hi", "Yo", "And?", "So."), "sys": None, "tools": "[]"},
    ]),
    "calls as text keep null": (SHAREGPT, [
        {"said": [{"from": "human", "value": "Rain?"}, {"from": "function_call", "value": CALL},
                  {"from": "observation", "value": "{}"}, {"from": "gpt", "value": "No."}],
         "sys": "", "tools": json.dumps([weather(unit={"default": None})])},
    ]),
    "tools as structs": (OPENAI, [
        {"said": turns(("weather", {"city": "Oslo"})), "tools": [weather(), STOCK]},
        {"said": turns(("stock", {"code": 7})), "tools": [STOCK]},
        {"said": turns(("stock", {})), "tools": [weather(code={"type": "string"})]},
        {"said": turns(("weather", {"city": "Oslo"}))[:1] + turns(("x", {}))[3:], "tools": []},
        {"said": turns(("weather", {"city": "Oslo"})), "tools": None},
    ]),
    "tools of two forms": (OPENAI, [
        {"said": turns(("weather", {"city": "Oslo"})),
         "tools": [weather(), {"type": "function", "function": STOCK}]},
    ]),
    "tools as texts": (OPENAI, [
        {"said": turns(("weather", {"city": "Oslo"})), "tools": [json.dumps(weather())]},
        {"said": turns(("weather", {"city": "Oslo"})), "tools": json.dumps([weather()])},
    ][:1]),
    "arguments as texts": (OPENAI, [
        {"said": turns(("weather", CALL), content=None), "tools": None},
        {"said": turns(("weather", '{"a": 1.0, "b": 1, "c": 1e3}')), "tools": [STOCK]},
    ]),
    "calls as one text": (OPENAI, [
        {"said": [turns(("f", {}))[0], {"role": "assistant", "content": "", "tool_calls":
                  json.dumps(turns(("weather", {"city": "Oslo", "x": [None]}))[1]["tool_calls"])}],
         "tools": None},
        {"said": [turns(("f", {}))[0], {"role": "assistant", "content": "Yo", "tool_calls": "[]"}],
         "tools": None},
    ]),
    "arguments of every type": (OPENAI, [
        {"said": turns(("f", {"yes": True, "no": False, "int": -3, "big": 2**63 - 1, "x": 0.1,
                              "y": 1e300, "z": -0.0, "none": None, "text": "007", "empty": "",
                              "list": [1, None, 3], "lists": [["a"], [], None]}),
                       ("g", {"objects": [{"a": 1}, {"b": [{"c": "d"}]}, {}]}),
                       content="Both."), "tools": None},
        {"said": turns(("f", {"list": []}), ("f", {"list": None})), "tools": None},
    ]),
    "no call": (OPENAI, [
        {"said": [{"role": "user", "content": "Hi"},
                  {"role": "assistant", "content": "Yo", "tool_calls": []}], "tools": []},
        {"said": turns(("f", {"a": 1})), "tools": []},
    ]),
    "weights": (OPENAI, [
        {"said": [{"role": "user", "content": "2+3?", "weight": None},
                  {"role": "assistant", "content": "6", "weight": 0},
                  {"role": "user", "content": "Sure?"},
                  {"role": "assistant", "content": "5", "weight": 1, "name": None}],
         "tools": None},
    ]),
    "preferences": (RANKED, [
        {"said": shared("Hi"), "yes": {"from": "gpt", "value": "Yo"},
         "no": {"from": "function_call", "value": CALL}},
    ]),
    "verdicts": ({"columns": {"prompt": "q", "response": "a", "kto_tag": "ok"}}, [
        {"q": "c?", "a": "d", "ok": True}, {"q": "c?", "a": "e", "ok": False},
    ]),
    "keywords": ({}, [{"instruction": "q", "output": "a", "keywords": ["a", "b"]},
                      {"instruction": "q", "output": "a", "keywords": None}]),
}  # fmt: skip


def write(file: Path, rows: Rows, schema: Any = None) -> None:
    """The rows as such a file; in CSV, what is no text is JSON, and null is an empty cell."""
    kind = file.name.partition(".")[2]
    if kind == "json":
        file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    elif kind == "jsonl":
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        file.write_text("".join(lines), encoding="utf-8")
    elif kind == "csv":
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    else:
        write_table(file, pa.Table.from_pylist(rows, schema=schema))


def write_table(file: Path, table: Any) -> None:
    if file.suffix == ".parquet":
        pq.write_table(table, file)
        return
    new = pa.ipc.new_file if file.name.endswith("file.arrow") else pa.ipc.new_stream
    with new(file, table.schema) as sink:
        sink.write_table(table)


def cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def examples(file: Path, entry: dict[str, Any]) -> list[Example]:
    info = {"d": {"file_name": file.name} | entry}
    (file.parent / "dataset_info.json").write_text(json.dumps(info))
    read = list(read_dataset(file.parent, "d", {}))
    bad = [str(row) for row in read if not isinstance(row, Example)]
    assert bad == []
    return read  # type: ignore[return-value]


@pytest.fixture(scope="session")
def renderer(tiny_model: Path) -> Renderer:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = TEMPLATE.read_text()
    return Renderer(tokenizer)


def tokens(renderer: Renderer, read: Iterable[Example]) -> list[list[tuple[list, list]]]:
    """Of each row the tokens and labels of its samples."""
    encoded = renderer.encode(list(read))
    assert all(isinstance(sample, Sample) for sample in encoded), encoded
    return [
        [(each.input_ids.tolist(), each.labels.tolist()) for each in (one, one.rejected) if each]
        for one in encoded  # type: ignore[union-attr]
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_file_gives_the_same_tokens(tmp_path: Path, renderer: Renderer, shape: str):
    entry, rows = SHAPES[shape]
    expected = None
    for kind in FORMATS:
        file = tmp_path / f"d.{kind}"
        write(file, rows)
        read = examples(file, entry)
        found = [read, tokens(renderer, read)]
        expected = expected or found
        assert found == expected, kind


def recast(kind: Any, text: Any, listing: Any) -> Any:
    """An Arrow type with its texts and lists of another type."""
    if pa.types.is_string(kind):
        return text
    if pa.types.is_list(kind):
        return listing(recast(kind.value_type, text, listing))
    if pa.types.is_struct(kind):
        return pa.struct([(each.name, recast(each.type, text, listing)) for each in kind])
    return kind


@pytest.mark.parametrize(
    "text, listing",
    [
        (pa.large_string(), pa.large_list),
        (pa.string_view(), pa.list_view),
        (pa.dictionary(pa.int32(), pa.string()), pa.list_),
    ],
)
@pytest.mark.parametrize("shape", ["texts alone", "tools as structs", "preferences"])
def test_texts_and_lists_of_every_type_of_arrow(
    tmp_path: Path, renderer: Renderer, shape: str, text: Any, listing: Any
):
    entry, rows = SHAPES[shape]
    write(tmp_path / "d.json", rows)
    expected = tokens(renderer, examples(tmp_path / "d.json", entry))
    inferred = pa.Table.from_pylist(rows).schema
    schema = pa.schema([(each.name, recast(each.type, text, listing)) for each in inferred])
    assert schema != inferred
    kinds = ("file.arrow", "stream.arrow", "parquet")  # which has no views to write
    for kind in kinds[: 2 if text == pa.string_view() else 3]:
        write(tmp_path / f"d.{kind}", rows, schema)
        assert tokens(renderer, examples(tmp_path / f"d.{kind}", entry)) == expected, kind


def test_maps_are_objects(tmp_path: Path, renderer: Renderer):
    """Maps have the keys of each row alone, in its own order."""
    texts = pa.map_(pa.string(), pa.string())
    call = pa.struct([("function", pa.struct([("name", pa.string()), ("arguments", texts)]))])
    turn = pa.struct([("role", pa.string()), ("content", pa.string()),
                      ("tool_calls", pa.list_(call))])  # fmt: skip
    described = pa.struct([("type", pa.string()), ("properties", pa.map_(pa.string(), texts))])
    tool = pa.struct([("name", pa.string()), ("parameters", described)])
    schema = pa.schema([("said", pa.list_(turn)), ("tools", pa.list_(tool))])
    made = weather(code={"description": "of it", "type": "string"})
    made = {"name": "weather", "parameters": {"type": "object",
            "properties": made["parameters"]["properties"]}}  # fmt: skip
    rows = [{"said": turns(("weather", {"x": "1", "city": "Oslo"})), "tools": [made]},
            {"said": turns(("weather", {"city": "Oslo", "x": None})), "tools": []}]  # fmt: skip
    for row in rows:
        for each in row["said"]:
            each.pop("tool_call_id", None)
            for called in each.get("tool_calls", ()):
                called.pop("id")
    write(tmp_path / "d.json", rows)
    expected = tokens(renderer, examples(tmp_path / "d.json", OPENAI))
    for kind in ("parquet", "file.arrow"):
        write(tmp_path / f"d.{kind}", rows, schema)
        assert tokens(renderer, examples(tmp_path / f"d.{kind}", OPENAI)) == expected, kind


@pytest.mark.parametrize("number, said", [(7, "7"), (7.0, "7.0"), (True, "true")])
def test_numbers_are_what_their_column_holds(tmp_path: Path, number: Any, said: str):
    """A column of integers that has become one of floats, as pandas makes it, says 7.0."""
    rows = [{"said": turns(("f", {"x": number})), "tools": None}]
    for kind in FORMATS:
        write(tmp_path / f"d.{kind}", rows)
        (example,) = examples(tmp_path / f"d.{kind}", OPENAI)
        called = example.messages[1]["tool_calls"][0]["function"]["arguments"]
        assert json.dumps(called) == f'{{"x": {said}}}', kind
