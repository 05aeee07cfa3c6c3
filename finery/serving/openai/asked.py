"""From a request's body to what the model is asked."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from finery.answering.sampling import Sampling
from finery.models.conversation import Message
from finery.serving.openai.bodies import Asked, ChatBody, ChatMessage, JsonSchema
from finery.serving.refusals import Refused
from finery.serving.served import Served

ROLES = {"developer": "system"}
RESERVED = ("messages", "tools", "documents", "add_generation_prompt", "strftime_now")
LEAST = 1e-6
"""A top_p that leaves the likeliest token alone."""
DEPTH = 64
"""Of a JSON Schema: engines go through one by recursion."""


def check_model(asked: Asked, served: Served) -> None:
    """Raises `Refused` if another model is asked for."""
    if asked.model not in (None, served.name):
        raise Refused(
            f"{asked.model}: no such model; {served.name} is served",
            404,
            param="model",
            code="model_not_found",
        )


def sampling(asked: Asked, own: Sampling, max_tokens: int | None) -> Sampling:
    """The model's own, with what the request says otherwise."""
    given: dict[str, Any] = {
        "temperature": asked.temperature,
        "top_p": None if asked.top_p is None else max(asked.top_p, LEAST),
        "top_k": None if asked.top_k is None else max(asked.top_k, 0),
        "repetition_penalty": asked.repetition_penalty,
        "seed": None if asked.seed is None else asked.seed % 2**63,
        "max_new_tokens": max_tokens,
        "stop": (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
    }
    return own.changed(**{key: value for key, value in given.items() if value is not None})


def of_choice(sampling: Sampling, number: int) -> Sampling:
    """For one of several answers: another seed, the same each time."""
    if sampling.seed is None:
        return sampling
    return sampling.model_copy(update={"seed": (sampling.seed + number) % 2**63})


def schema(asked: Asked, served: Served) -> Mapping[str, Any] | None:
    """What the answer must fit. Raises `Refused` if the engine has no way to."""
    wanted = asked.response_format
    if wanted is None or wanted.type == "text":
        return None
    if not served.engine.shapes:
        raise Refused(
            f"response_format: {served.engine.name} writes text alone; serve with an engine that"
            " holds answers to a schema, such as llamacpp",
            param="response_format",
        )
    found = wanted.json_schema.schema_ if isinstance(wanted, JsonSchema) else {}
    if problem := _problem(found):
        raise Refused(f"response_format: {problem}", param="response_format")
    return found


def messages(body: ChatBody) -> list[Message]:
    """As chat templates take them. Raises `Refused` for one that is none."""
    return [_message(each, f"messages.{place}") for place, each in enumerate(body.messages)]


def tools(body: ChatBody) -> list[dict[str, Any]]:
    if body.tool_choice == "none":
        return []
    found = [tool.model_dump(exclude_none=True) for tool in body.tools or ()]
    for tool in found:
        tool["function"].pop("strict", None)
        tool["function"].setdefault("parameters", {"type": "object", "properties": {}})
    return found


def keywords(body: ChatBody) -> dict[str, Any]:
    found = body.chat_template_kwargs or {}
    if wrong := [name for name in found if name in RESERVED]:
        raise Refused(
            f"chat_template_kwargs.{wrong[0]}: not a keyword to give", param="chat_template_kwargs"
        )
    return found


def _message(message: ChatMessage, where: str) -> Message:
    content = message.content
    if isinstance(content, list):
        content = "".join(part.text for part in content)
    if content is None and not message.tool_calls:
        raise Refused(f"{where}.content: missing", param=f"{where}.content")
    if message.tool_calls and message.role != "assistant":
        raise Refused(f"{where}.tool_calls: the assistant's alone", param=f"{where}.tool_calls")
    found = {"role": ROLES.get(message.role, message.role), "content": content or ""}
    calls = [
        {"type": "function", "id": call.id, "function": _function(call.function, where)}
        for call in message.tool_calls or ()
    ]
    beside = {
        "name": message.name, "tool_call_id": message.tool_call_id, "tool_calls": calls or None,
        "reasoning_content": message.reasoning_content,
    }  # fmt: skip
    return found | {key: value for key, value in beside.items() if value is not None}


def _function(function: Any, where: str) -> dict[str, Any]:
    try:
        arguments = json.loads(function.arguments or "{}")
        json.dumps(arguments, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        param = f"{where}.tool_calls"
        raise Refused(f"{param}: arguments must be JSON, an object", param=param)
    return {"name": function.name, "arguments": arguments}


def _problem(schema: dict[str, Any]) -> str | None:
    """Why a JSON Schema cannot be used; engines pass over what they do not know in silence."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if _depth(schema) > DEPTH:
        return f"nested deeper than {DEPTH}"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"is no JSON Schema: {error.message[:200]}"
    for place in _references(schema):
        if not place.startswith("#"):
            return f"refers to elsewhere: {place[:200]}"
        if not _is_in(schema, place):
            return f"refers to {place[:200]}, which is not there"
    return None


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _references(each)


def _is_in(schema: Any, place: str) -> bool:
    for part in place.removeprefix("#").strip("/").split("/"):
        if part and (not isinstance(schema, dict) or part not in schema):
            return False
        schema = schema[part] if part else schema
    return True


def _depth(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, inside), default=0)
