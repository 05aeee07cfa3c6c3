import json
from pathlib import Path
from typing import Any

import pytest

from finery.data.formats.dataset import read_dataset
from finery.data.formats.examples import Example
from finery.data.rows.bad_rows import BadRow

SHAREGPT = {"formatting": "sharegpt", "columns": {"messages": "said", "system": "sys",
            "tools": "tools"}}  # fmt: skip
OPENAI = {
    "formatting": "openai",
    "columns": {"messages": "said", "tools": "tools"},
    "tags": {
        "role_tag": "role", "content_tag": "content", "user_tag": "user",
        "assistant_tag": "assistant", "observation_tag": "tool", "function_tag": "function",
        "system_tag": "system",
    },
}  # fmt: skip
TAGS = {"s": "system", "h": "human", "g": "gpt", "f": "function_call", "o": "observation"}
CALL = {"name": "add", "arguments": {"a": 1}}
CALLED = {"type": "function", "function": CALL}


def said(*turns: str) -> list[dict[str, str]]:
    """Messages written as "h: text"."""
    return [{"from": TAGS[turn[0]], "value": turn[3:]} for turn in turns]


def read(folder: Path, entry: dict, row: dict[str, Any]) -> Example | BadRow:
    (folder / "dataset_info.json").write_text(json.dumps({"d": {"file_name": "d.json"} | entry}))
    unused = {"sys": None, "tools": None}
    (folder / "d.json").write_text(json.dumps([unused | row]))
    return next(read_dataset(folder, "d", {"x": "X"}))


def roles(example: Example | BadRow) -> str:
    assert isinstance(example, Example), example
    return "".join(message["role"][0] for message in example.messages)


def test_every_role(tmp_path: Path):
    turns = said("s: be {{x}}", "h: 1+1?", f"f: {json.dumps(CALL)}", "o: 2", "g: it is 2")
    example = read(tmp_path, SHAREGPT, {"said": turns, "sys": "be X"})
    assert example == Example("d", 1, (
        {"role": "system", "content": "be X"},
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "", "tool_calls": [CALLED]},
        {"role": "tool", "content": "2"},
        {"role": "assistant", "content": "it is 2"},
    ))  # fmt: skip


def test_the_system_column(tmp_path: Path):
    example = read(tmp_path, SHAREGPT, {"said": said("h: a", "g: b"), "sys": "be kind"})
    assert isinstance(example, Example)
    assert example.messages[0] == {"role": "system", "content": "be kind"}


@pytest.mark.parametrize(
    "turns, expected",
    [
        (("s:  ", "h: a", "g: b"), "ua"),
        (("h: a", "g: b", "h: c", "g: d"), "uaua"),
        (("h: a", f"f: {json.dumps(CALL)}"), "ua"),
        (("h: a", f"f: {json.dumps(CALL)}", "h: b", "g: c"), "uaua"),
        (("h: a", f"f: {json.dumps(CALL)}", "o:  ", "g: c"), "uata"),
    ],
)
def test_orders_that_are_right(tmp_path: Path, turns: tuple[str, ...], expected: str):
    assert roles(read(tmp_path, SHAREGPT, {"said": said(*turns)})) == expected


@pytest.mark.parametrize(
    "turns, problem",
    [
        (("g: a", "h: b"), "message 1 is by 'gpt', where 'human' must speak"),
        (("h: a", "h: b", "g: c"), "message 2 is by 'human', where 'gpt' must speak"),
        (("h: a", "g: b", "g: c"), "message 3 is by 'gpt', where 'human' must speak"),
        (("h: a", "s: b", "g: c"), "message 2 is by 'system', where 'gpt' must speak"),
        (("s: a", "s: b", "h: c"), "message 2 is by 'system', where 'human' must speak"),
        (("s: a", "o: b", "g: c"), "message 2 is by 'observation', where 'human' must speak"),
        (("o: b", "g: c"), "message 1 is by 'observation', where 'human' must speak"),
        (("h: a", f"f: {json.dumps(CALL)}", "o: b", "o: c"),
         "message 4 is by 'observation', where 'gpt' must speak"),
        (("h: a", "g: b", "h: c"), "must end with a message by 'gpt'"),
        (("s: a",), "must end with a message by 'gpt'"),
    ],
)  # fmt: skip
def test_orders_that_are_wrong(tmp_path: Path, turns: tuple[str, ...], problem: str):
    bad = read(tmp_path, SHAREGPT, {"said": said(*turns)})
    assert bad == BadRow(f"{tmp_path}/d.json", 1, "said", "role-order", problem)


@pytest.mark.parametrize(
    "row, field, kind, problem",
    [
        ({}, "said", "missing-column", "missing column; the row has sys, tools"),
        ({"said": []}, "said", "not-a-list", "must be a list of messages, not []"),
        ({"said": "hi"}, "said", "not-a-list", 'must be a list of messages, not "hi"'),
        ({"said": ["hi"]}, "said", "not-an-object", 'message 1: must be an object, not "hi"'),
        ({"said": [{"role": "user", "content": "a"}]}, "said", "missing-tag",
         "message 1: no 'from'; it has role, content: see tags in dataset_info.json"),
        ({"said": [{"from": "human"}]}, "said", "missing-tag",
         "message 1: no 'value'; it has from: see tags in dataset_info.json"),
        ({"said": [{"from": "user", "value": "a"}]}, "said", "unknown-role",
         "message 1: unknown from \"user\"; the tags are 'function_call', 'observation', 'system',"
         " 'gpt', 'human'"),
        ({"said": [{"from": 3, "value": "a"}]}, "said", "unknown-role",
         "message 1: unknown from 3; the tags are 'function_call', 'observation', 'system',"
         " 'gpt', 'human'"),
        ({"said": said("h: a", "g:  ")}, "said", "empty-answer",
         "message 2: is empty; fill it or remove the row"),
        ({"said": said("h:  ", "g: a")}, "said", "empty-text",
         "message 1: is empty; fill it or remove the row"),
        ({"said": [{"from": "human", "value": None}]}, "said", "not-text",
         "message 1: must be a string, not null"),
        ({"said": said("h: {{y}}", "g: a")}, "said", "unfilled-variable",
         "message 1: {{y}} has no value; set data.variables.y, or data.variables to null if such"
         " words are to stay"),
        ({"said": said("h: a", "f: add(1)")}, "said.1.value", "tool-json",
         'not JSON (expecting value): "add(1)"'),
        ({"said": said("h: a", 'f: {"name": "add"}')}, "said.1.value.arguments", "tool-json",
         "must be an object, not null"),
        ({"said": said("h: a", "f: [1]")}, "said.1.value.0", "tool-json",
         "must be an object with name and arguments, not 1"),
        ({"said": said("h: a", 'f: {"name": "f", "name": "g"}')}, "said.1.value", "duplicate-key",
         "name is written twice in one object; keep one"),
        ({"said": said("h: a", "g: b"), "tools": "[{]"}, "tools", "tool-json",
         "not JSON (expecting property name enclosed in double quotes): \"[{]\""),
        ({"said": said("h: a", "g: b"), "tools": '{"name": "add"}'}, "tools", "tool-json",
         'must be a list of tools, not {"name": "add"}'),
        ({"said": said("h: a", "g: b"), "tools": '[{"type": "function"}]'}, "tools.0", "tool-json",
         'must be an object with a name, not {"type": "function"}'),
    ],
)  # fmt: skip
def test_rows_that_are_wrong(tmp_path: Path, row: dict, field: str, kind: str, problem: str):
    bad = read(tmp_path, SHAREGPT, row)
    assert bad == BadRow(f"{tmp_path}/d.json", 1, field, kind, problem)


def test_tools_are_as_chat_templates_take_them(tmp_path: Path):
    add = {"name": "add", "description": "sums", "parameters": {"type": "object"}}
    whole = {"type": "function", "function": add}
    for tools in ([add, whole], json.dumps([add, whole])):
        example = read(tmp_path, SHAREGPT, {"said": said("h: a", "g: b"), "tools": tools})
        assert isinstance(example, Example) and example.tools == (whole, whole)
    for none in ("", "[]", None, []):
        example = read(tmp_path, SHAREGPT, {"said": said("h: a", "g: b"), "tools": none})
        assert isinstance(example, Example) and example.tools == ()


@pytest.mark.parametrize(
    "text, content, count",
    [
        (json.dumps([CALL, CALL]), "", 2),
        (f"<think>\nhm\n</think>\n\n{json.dumps(CALL)}", "<think>\nhm\n</think>", 1),
        (json.dumps({"name": "add", "arguments": '{"a": 1}'}), "", 1),
    ],
)
def test_calls(tmp_path: Path, text: str, content: str, count: int):
    example = read(tmp_path, SHAREGPT, {"said": said("h: a", f"f: {text}")})
    assert isinstance(example, Example)
    message = {"role": "assistant", "content": content, "tool_calls": [CALLED] * count}
    assert example.messages[1] == message


def test_openai(tmp_path: Path):
    calls = [
        {"id": f"call{n}", "type": "function",
         "function": {"name": "add", "arguments": json.dumps({"a": n})}}
        for n in (1, 2)
    ]  # fmt: skip
    turns = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "1 and 2?"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "content": "one", "tool_call_id": "call1"},
        {"role": "tool", "content": "two", "tool_call_id": "call2"},
        {"role": "assistant", "content": "one, two", "tool_calls": None},
    ]
    tools = [{"type": "function", "function": {"name": "add"}}]
    example = read(tmp_path, OPENAI, {"said": turns, "tools": tools})
    assert isinstance(example, Example), example
    assert roles(example) == "suatta" and example.tools == tuple(tools)
    assert example.messages[2]["content"] == ""
    assert [
        (call["id"], call["function"]["arguments"]) for call in example.messages[2]["tool_calls"]
    ] == [("call1", {"a": 1}), ("call2", {"a": 2})]
    assert example.messages[4] == {"role": "tool", "content": "two", "tool_call_id": "call2"}


def test_only_the_assistant_calls_tools(tmp_path: Path):
    calls = [{"function": CALL}]
    turns = [
        {"role": "user", "content": "a", "tool_calls": calls},
        {"role": "assistant", "content": None, "tool_calls": calls},
    ]
    bad = read(tmp_path, OPENAI, {"said": turns})
    assert isinstance(bad, BadRow) and (bad.field, bad.kind) == ("said.0.tool_calls", "unread-key")
    assert bad.problem.startswith("is not read; only the assistant calls tools, or add")


@pytest.mark.parametrize(
    "calls, problem",
    [
        ([{"name": "add"}], 'said.1.tool_calls: must be a list of functions, not [{"name"'),
        ([{"function": {"name": "f", "arguments": "{"}}],
         "said.1.tool_calls.0.function.arguments: not JSON (expecting"),
    ],
)  # fmt: skip
def test_openai_calls_that_are_wrong(tmp_path: Path, calls: list, problem: str):
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "", "tool_calls": calls},
    ]
    bad = read(tmp_path, OPENAI, {"said": turns})
    assert isinstance(bad, BadRow) and bad.kind == "tool-json"
    assert f"{bad.field}: {bad.problem}".startswith(problem)


RANKED = {"ranking": True, "formatting": "sharegpt",
          "columns": {"messages": "said", "chosen": "yes", "rejected": "no"}}  # fmt: skip


def test_preferences(tmp_path: Path):
    good, poor = said("g: good", f"f: {json.dumps(CALL)}")
    example = read(tmp_path, RANKED, {"said": said("s: s", "h: a"), "yes": good, "no": poor})
    assert isinstance(example, Example) and roles(example) == "su"
    assert example.chosen == {"role": "assistant", "content": "good"}
    assert example.rejected == {"role": "assistant", "content": "", "tool_calls": [CALLED]}


@pytest.mark.parametrize(
    "row, field, problem",
    [
        ({"said": said("h: a", "g: b")}, "said", "must end with a message by 'human'"),
        ({"yes": said("h: a")[0]}, "yes", "must be by 'gpt'"),
        ({"no": "bad"}, "no", 'must be an object, not "bad"'),
        ({"no": said("g:  ")[0]}, "no", "is empty; fill it or remove the row"),
    ],
)
def test_preferences_that_are_wrong(tmp_path: Path, row: dict, field: str, problem: str):
    good, poor = said("g: good", "g: poor")
    bad = read(tmp_path, RANKED, {"said": said("h: a"), "yes": good, "no": poor} | row)
    assert isinstance(bad, BadRow) and (bad.field, bad.problem) == (field, problem)


def test_verdicts(tmp_path: Path):
    entry = {"formatting": "sharegpt", "columns": {"messages": "said", "kto_tag": "ok"}}
    for verdict in (True, False):
        example = read(tmp_path, entry, {"said": said("h: a", "g: b"), "ok": verdict})
        assert isinstance(example, Example) and example.desirable is verdict
        assert roles(example) == "ua"
    bad = read(tmp_path, entry, {"said": said("h: a", "g: b"), "ok": "yes"})
    assert isinstance(bad, BadRow) and str(bad).endswith('ok: must be true or false, not "yes"')
