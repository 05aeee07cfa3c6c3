"""Tools and calls of them, from the JSON that datasets hold to what chat templates take."""

import re
from typing import Any

from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import shown
from finery.data.rows.strict_json import Parser, reason

THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
BROKEN = "tool-json"


def parse_tools(field: str | None, value: Any) -> tuple[dict[str, Any], ...]:
    """Tools as chat templates take them, from a list or the JSON of one; () if there are none.

    A tool is the description of a function, alone or as OpenAI has it.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    tools = _json(field, value, "") if isinstance(value, str) else value
    if not isinstance(tools, list):
        raise FieldError(field, BROKEN, f"must be a list of tools, not {shown(tools)}")
    return tuple(_tool(field, number, tool) for number, tool in enumerate(tools, 1))


def parse_calls(field: str, text: str, where: str) -> dict[str, Any]:
    """The assistant's message that calls tools: `text` is the JSON of one call or of a list.

    Reasoning in <think></think> before it is the message's content.
    """
    thought = THOUGHT.match(text)
    said = thought[0].strip() if thought else ""
    calls = _json(field, text[thought.end() :] if thought else text, where)
    calls = calls if isinstance(calls, list) else [calls]
    if not calls:
        raise FieldError(field, BROKEN, f"{where}holds no call; add one or remove the row")
    return message(said, [tool_call(field, call, where) for call in calls])


def message(content: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """An assistant's message with calls of tools."""
    return {"role": "assistant", "content": content, "tool_calls": calls}


def tool_call(field: str, call: Any, where: str) -> dict[str, Any]:
    """One call as chat templates take it, from its name and arguments."""
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        problem = f"{where}a call must be an object with name and arguments, not {shown(call)}"
        raise FieldError(field, BROKEN, problem)
    arguments = call.get("arguments")
    if isinstance(arguments, str):
        arguments = _json(field, arguments, where)
    if not isinstance(arguments, dict):
        problem = f"{where}{call['name']}: arguments must be an object, not {shown(arguments)}"
        raise FieldError(field, BROKEN, problem)
    return {"type": "function", "function": {"name": call["name"], "arguments": arguments}}


def _tool(field: str | None, number: int, tool: Any) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) and "function" in tool else tool
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        problem = f"tool {number} must be an object with a name, not {shown(tool)}"
        raise FieldError(field, BROKEN, problem)
    return tool if function is not tool else {"type": "function", "function": tool}


def _json(field: str | None, text: str, where: str) -> Any:
    parser = Parser()
    try:
        value = parser.value(text)
    except (ValueError, RecursionError) as error:
        problem = f"{where}not JSON ({reason(error)}): {shown(text)}"
        raise FieldError(field, BROKEN, problem) from None
    if parser.note:
        problem = " ".join(filter(None, (parser.note[0], parser.note[2])))
        raise FieldError(field, parser.note[1], where + problem)
    return value
