"""Tools and calls: what is in them is checked, filled and named as the texts of a row are."""

import json
from pathlib import Path
from typing import Any

import pytest

from finery.data.formats.dataset import read_dataset
from finery.data.formats.examples import Example
from finery.data.rows.bad_rows import BadRow

SHAREGPT = {"formatting": "sharegpt", "columns": {"messages": "said", "tools": "tools"}}
OPENAI = SHAREGPT | {
    "formatting": "openai",
    "tags": {
        "role_tag": "role", "content_tag": "content", "user_tag": "user",
        "assistant_tag": "assistant", "observation_tag": "tool", "function_tag": "function",
        "system_tag": "system",
    },
}  # fmt: skip


def read(folder: Path, entry: dict[str, Any], row: dict[str, Any]) -> Example | BadRow:
    (folder / "dataset_info.json").write_text(json.dumps({"d": {"file_name": "d.json"} | entry}))
    (folder / "d.json").write_text(json.dumps([{"tools": None} | row]))
    return next(read_dataset(folder, "d", {"name": 'the "Sea" \\', "key": "k"}))


def calling(text: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": "Hi"}, {"from": "function_call", "value": text}]


def openai(calls: Any, **more: Any) -> list[dict[str, Any]]:
    answer = {"role": "assistant", "tool_calls": calls} | more
    return [{"role": "user", "content": "Hi"}, answer]


def called(arguments: Any) -> list[dict[str, Any]]:
    return [{"id": "c0", "type": "function", "function": {"name": "f", "arguments": arguments}}]


@pytest.mark.parametrize(
    "value, problem",
    [
        ('"\\ud83d"', "holds half a character (U+D83D); write all of it"),
        ('"a\\u0000b"', "holds a NUL character; remove it"),
        ('"a {{nmae}}"', "{{nmae}} has no value; set data.variables.nmae, or data.variables to null"
         " if such words are to stay"),
        ("1e999", "must be a finite number, not inf; write null or a string"),
        ("-1e999", "must be a finite number, not -inf; write null or a string"),
    ],
)  # fmt: skip
def test_values_are_checked_wherever_they_are(tmp_path: Path, value: str, problem: str):
    nested = f'{{"x": ["a", {{"y": {value}}}]}}'
    call = f'{{"name": "f", "arguments": {nested}}}'
    tool = f'[{{"name": "f", "parameters": {nested}}}]'
    places = {
        "said.1.value.arguments.x.1.y": (SHAREGPT, {"said": calling(call)}),
        "said.1.value.0.arguments.x.1.y": (SHAREGPT, {"said": calling(f"[{call}]")}),
        "said.1.tool_calls.0.function.arguments.x.1.y": (OPENAI, {"said": openai(called(nested))}),
        "tools.0.parameters.x.1.y": (SHAREGPT, {"said": calling("[]"), "tools": tool}),
    }
    if "999" not in value:
        places |= {
            "tools.0.function.parameters.x.1.y": (
                OPENAI,
                {"said": openai(called({})), "tools": [{"function": json.loads(tool)[0]}]},
            ),
            "tools.0.parameters.x.1.y ": (
                OPENAI, {"said": openai(called({})), "tools": json.loads(tool)},
            ),
            "said.1.tool_calls.0.function.arguments.x.1.y ": (
                OPENAI, {"said": openai(called(json.loads(nested)))},
            ),
        }  # fmt: skip
    for place, (entry, row) in places.items():
        bad = read(tmp_path, entry, row)
        assert str(bad) == f"{tmp_path}/d.json: row 1: {place.strip()}: {problem}"


@pytest.mark.parametrize(
    "entry, row, place, problem",
    [
        (SHAREGPT, {"said": calling('{"name": "f\\u0000", "arguments": {}}')}, "said.1.value.name",
         "holds a NUL character; remove it"),
        (SHAREGPT, {"said": calling('{"name": " ", "arguments": {}}')}, "said.1.value.name",
         "is empty; fill it or remove the row"),
        (SHAREGPT, {"said": calling('<think>\ud83d</think>{"name": "f", "arguments": {}}')},
         "said.1.value", "holds half a character (U+D83D); write all of it"),
        (SHAREGPT, {"said": calling('{"name": "f", "arguments": {"x": {"\\ud83d": 1}}}')},
         "said.1.value.arguments.x", "a key holds half a character (U+D83D); write all of it"),
        (SHAREGPT, {"said": calling('{"name": "f", "arguments": {"x": NaN}}')}, "said.1.value",
         "holds NaN, which is not JSON; write null"),
        (SHAREGPT, {"said": calling('{"name": "f", "arguments": "{\\"x\\": NaN}"}')},
         "said.1.value.arguments", "holds NaN, which is not JSON; write null"),
        (SHAREGPT, {"said": calling('{"name": "f", "arguments": {"x": 1, "x": 2}}')},
         "said.1.value", "x is written twice in one object; keep one"),
        (OPENAI, {"said": openai(called('{"x": 1, "x": 2}'))},
         "said.1.tool_calls.0.function.arguments", "x is written twice in one object; keep one"),
        (OPENAI, {"said": openai(called(f'{{"x": {"9" * 5000}}}'))},
         "said.1.tool_calls.0.function.arguments",
         "holds a number of 5000 digits; write it as a string"),
        (OPENAI, {"said": openai(called('{"x": ' + "[" * 300 + "]" * 300 + "}"))},
         "said.1.tool_calls.0.function.arguments",
         "holds values more than 200 deep in others; write it flatter"),
        (OPENAI, {"said": openai([{"id": "\0", "function": {"name": "f", "arguments": {}}}])},
         "said.1.tool_calls.0.id", "holds a NUL character; remove it"),
        (SHAREGPT, {"said": calling("[]")}, "said.1.value",
         "holds no call; add one or remove the row"),
        (OPENAI, {"said": openai([], content="")}, "said",
         "message 2: is empty; fill it or remove the row"),
        (OPENAI, {"said": openai("[]", content=None)}, "said",
         "message 2: must be a string, not null"),
        (SHAREGPT, {"said": calling("{}"), "tools": '[{"name": "f", "name": "g"}]'}, "tools",
         "name is written twice in one object; keep one"),
        (SHAREGPT, {"said": calling("{}"), "tools": ['{"name": "f",}']}, "tools.0",
         'not JSON (a comma too many; remove it): "{\\"name\\": \\"f\\",}"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, entry: dict, row: dict, place: str, problem: str
):
    bad = read(tmp_path, entry, row)
    assert str(bad) == f"{tmp_path}/d.json: row 1: {place}: {problem}"


def test_variables_are_filled_in_tools_and_calls_whatever_is_in_them(tmp_path: Path):
    """Their values are words, and no JSON: quotes in them end nothing."""
    tools = [{"name": "f", "description": "of {{name}}", "parameters": {"{{key}}": ["{{name}}"]}}]
    call = {"name": "f_{{key}}", "arguments": {"{{key}}": "{{name}}", "n": 1}}
    filled = {"name": "f_k", "arguments": {"k": 'the "Sea" \\', "n": 1}}
    described = {"name": "f", "description": 'of the "Sea" \\',
                 "parameters": {"k": ['the "Sea" \\']}}  # fmt: skip
    for entry, said in (
        (SHAREGPT, calling(json.dumps(call))),
        (OPENAI, openai([{"function": call}])),
        (OPENAI, openai([{"function": call | {"arguments": json.dumps(call["arguments"])}}])),
    ):
        example = read(tmp_path, entry, {"said": said, "tools": tools})
        assert isinstance(example, Example), example
        assert example.messages[1]["tool_calls"] == [{"type": "function", "function": filled}]
        assert example.tools == ({"type": "function", "function": described},)


def test_null_is_no_key_in_objects_and_stays_in_texts(tmp_path: Path):
    arguments = {"a": None, "b": [None], "c": {"d": None}}
    text = json.dumps(arguments)
    call = json.dumps({"name": "f", "arguments": arguments})
    for entry, said, kept in (
        (OPENAI, openai(called(arguments)), {"b": [None], "c": {}}),
        (OPENAI, openai(called(text)), arguments),
        (SHAREGPT, calling(call), arguments),
    ):
        example = read(tmp_path, entry, {"said": said})
        assert isinstance(example, Example), example
        assert example.calls == [{"name": "f", "arguments": kept}]
    tool = {"type": None, "function": {"name": "f", "strict": None, "enum": [None]}}
    for tools in ([tool], json.dumps([tool]), [json.dumps(tool)]):
        example = read(tmp_path, SHAREGPT, {"said": calling(call), "tools": tools})
        assert isinstance(example, Example), example
        assert example.tools == ({"function": {"name": "f", "enum": [None]}},)


@pytest.mark.parametrize(
    "entry, said, content",
    [
        (SHAREGPT, calling("<think>\nNo tool fits.\n</think>\n[]"),
         "<think>\nNo tool fits.\n</think>"),
        (OPENAI, openai([], content="No tool fits."), "No tool fits."),
        (OPENAI, openai("[]", content="No tool fits."), "No tool fits."),
        (OPENAI, openai(None, content="No tool fits."), "No tool fits."),
    ],
)  # fmt: skip
def test_no_call_beside_words_is_an_answer(tmp_path: Path, entry: dict, said: list, content: str):
    example = read(tmp_path, entry, {"said": said})
    assert isinstance(example, Example), example
    assert example.messages[1] == {"role": "assistant", "content": content}
