"""Tools that a model may call, from a file; calls in words for the terminal."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finery.answering.files import read_text
from finery.errors import UserError
from finery.models.conversation import Message


class ToolError(UserError):
    """A file of tools cannot be used."""


def read_tools(file: Path) -> tuple[dict[str, Any], ...]:
    """The tools in a JSON file: a list of functions, each alone or as OpenAI has it.

    Raises `ToolError` with the tool that is wrong.
    """
    try:
        said = json.loads(read_text(file))
    except ValueError as error:
        raise ToolError(f"{file}: not JSON ({error}); write a list of functions") from None
    tools = said.get("tools") if isinstance(said, dict) else said
    if not isinstance(tools, list) or not tools:
        raise ToolError(f"{file}: must be a list of functions, with one at least")
    return tuple(as_tools(tools, str(file)))


def as_tools(tools: Any, where: str) -> list[dict[str, Any]]:
    """Tools as chat templates take them. Raises `ToolError`."""
    if not isinstance(tools, list):
        raise ToolError(f"{where}: tools must be a list")
    return [_tool(tool, f"{where}: tool {number}") for number, tool in enumerate(tools, 1)]


def _tool(tool: Any, where: str) -> dict[str, Any]:
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ToolError(f"{where}: must be an object with a name, a description and parameters")
    if not isinstance(function.get("parameters", {}), dict):
        raise ToolError(f"{where}: parameters must be a JSON Schema, an object")
    return {"type": "function", "function": function}


def called(calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls as they stand in the assistant's message."""
    return [
        {
            "type": "function",
            "id": f"call{number:05}",  # nine letters and digits, as Mistral's templates insist
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for number, call in enumerate(calls)
    ]


def shown(call: dict[str, Any]) -> str:
    """A call as one reads it."""
    arguments = (
        f"{key}={json.dumps(v, ensure_ascii=False)}" for key, v in call["arguments"].items()
    )
    return f"{call['name']}({', '.join(arguments)})"


def results(messages: Sequence[Message], said: str) -> Message:
    """The message that answers the call that is open, the first without a result.

    Raises `ToolError` if the last turn calls nothing, or everything has its result.
    """
    for place in range(len(messages) - 1, -1, -1):
        if messages[place]["role"] != "tool":
            break
    else:
        place = -1
    calls = messages[place].get("tool_calls") or () if place >= 0 else ()
    open_ = calls[len(messages) - 1 - place :]
    if not open_:
        raise ToolError("no call of a tool waits for its result")
    call = open_[0]
    given = {"tool_call_id": call["id"]} if "id" in call else {}
    return {"role": "tool", "name": call["function"]["name"], **given, "content": said}


def waiting(messages: Sequence[Message]) -> bool:
    """Whether a call has no result yet."""
    try:
        return bool(results(messages, ""))
    except ToolError:
        return False
