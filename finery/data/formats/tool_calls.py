"""Tools and calls of them, from what datasets hold to what chat templates take."""

from collections.abc import Collection
from typing import Any

from finery.data.formats.examples import THOUGHT
from finery.data.formats.message_keys import empty
from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import Fields, shown
from finery.data.rows.nested import decoded, plain

BROKEN = "tool-json"


def parse_tools(row: Fields, column: str) -> tuple[dict[str, Any], ...]:
    """Tools as chat templates take them, from a list or the JSON of one; () if there are none.

    A tool is the description of a function, alone or as OpenAI has it.
    """
    tools = row.get(column)
    if tools is None or (isinstance(tools, str) and not tools.strip()):
        return ()
    if isinstance(tools, str):
        tools = decoded(column, tools, BROKEN)
    if not isinstance(tools, list):
        raise FieldError(column, BROKEN, f"must be a list of tools, not {shown(tools)}")
    return tuple(_tool(row, f"{column}.{number}", tool) for number, tool in enumerate(tools))


def parse_calls(row: Fields, place: str, text: str) -> dict[str, Any]:
    """The assistant's message that calls tools: `text` is the JSON of one call or of a list.

    Reasoning in <think></think> before it is the message's content. What the text says is kept
    to the letter, null included. `place` is where it is in the row.
    """
    thought = THOUGHT.match(text)
    said = row.filled(place, thought[0].strip()) if thought else ""
    calls = decoded(place, text[thought.end() :] if thought else text, BROKEN)
    if not isinstance(calls, list):
        return _message(said, [_text_call(row, place, calls)])
    if not calls and not said:
        raise FieldError(place, BROKEN, "holds no call; add one or remove the row")
    return _message(said, [_text_call(row, f"{place}.{n}", call) for n, call in enumerate(calls)])


def openai_calls(row: Fields, place: str, calls: Any, said: str) -> dict[str, Any]:
    """The assistant's message of what is `said`, perhaps nothing, and OpenAI's list of calls."""
    if not isinstance(calls, list) or not all(
        isinstance(call, dict) and isinstance(call.get("function"), dict) for call in calls
    ):
        raise FieldError(place, BROKEN, f"must be a list of functions, not {shown(calls)}")
    parsed = []
    for number, call in enumerate(calls):
        where = f"{place}.{number}"
        _refuse_others(where, call, {"id", "index", "function", "type"})
        if call.get("type") not in (None, "function"):
            problem = f'must be "function", not {shown(call["type"])}'
            raise FieldError(f"{where}.type", BROKEN, problem)
        _refuse_others(f"{where}.function", call["function"], {"name", "arguments"})
        made = _call(row, f"{where}.function", call["function"], nulls=False)
        parsed.append(_known(row, where, call) | made)
    return _message(said, parsed)


def _message(content: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    said = {"role": "assistant", "content": content}
    return said | {"tool_calls": calls} if calls else said


def _text_call(row: Fields, place: str, call: Any) -> dict[str, Any]:
    made = _call(row, place, call, nulls=True)
    _refuse_others(place, call, {"id", "name", "arguments"})
    return _known(row, place, call) | made


def _known(row: Fields, place: str, call: dict[str, Any]) -> dict[str, Any]:
    """What some chat templates want to know of a call, if the data has it."""
    return {} if empty(call.get("id")) else {"id": row.filled(f"{place}.id", call["id"])}


def _refuse_others(place: str, held: dict[str, Any], known: Collection[str]) -> None:
    for key, value in held.items():
        if key not in known and not empty(value):
            problem = "is not read; remove it, or make it one of the arguments"
            raise FieldError(f"{place}.{key}", "unread-key", problem)


def _call(row: Fields, place: str, call: Any, nulls: bool) -> dict[str, Any]:
    """One call as chat templates take it; `nulls`: whether its arguments keep keys of null."""
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        problem = f"must be an object with name and arguments, not {shown(call)}"
        raise FieldError(place, BROKEN, problem)
    name = row.said(f"{place}.name", call["name"], BROKEN)
    arguments, inside = call.get("arguments"), f"{place}.arguments"
    if isinstance(arguments, str):
        arguments, nulls = decoded(inside, arguments, BROKEN), True
    if not isinstance(arguments, dict):
        raise FieldError(inside, BROKEN, f"must be an object, not {shown(arguments)}")
    arguments = plain(row, inside, arguments, nulls)
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def _tool(row: Fields, place: str, tool: Any) -> dict[str, Any]:
    if isinstance(tool, str):
        tool = decoded(place, tool, BROKEN)
    tool = plain(row, place, tool)
    function = tool["function"] if isinstance(tool, dict) and "function" in tool else tool
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise FieldError(place, BROKEN, f"must be an object with a name, not {shown(tool)}")
    return tool if function is not tool else {"type": "function", "function": tool}
