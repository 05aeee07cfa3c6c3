"""How a chat template writes calls of tools, learnt from calls that it is given to write."""

import json
from collections.abc import Sequence
from typing import Any

from finery.inference import call_arguments, call_json
from finery.inference.call_json import Call, Reader, common_start

PROBES: list[Call] = [
    {"name": "probe_one", "arguments": {"key_a": "word a", "key_b": "word b"}},
    {"name": "probe_two", "arguments": {"key_c": "word c", "key_d": "word d"}},
]
WAYS = (call_json.objects, call_json.named_objects, call_arguments.tagged, call_arguments.python)


def call_reader(tokenizer: Any) -> Reader | None:
    """Finds calls in an answer as the tokenizer's chat template writes them.

    None if the way it writes them is none of `WAYS`, or if it cannot write any.
    """
    texts = _written(tokenizer)
    for learn in WAYS:
        for text, count in texts:
            reader = learn(text, PROBES[:count])
            if reader and all(reader(t) == PROBES[:n] for t, n in texts):
                return reader
    return None


def _written(tokenizer: Any) -> list[tuple[str, int]]:
    """What the template writes for both probes, if it takes them at once, and for the first."""
    texts = []
    for count in (2, 1):
        for as_json in (False, True):  # some templates want the arguments as JSON
            try:
                texts.append((_turn(tokenizer, PROBES[:count], as_json), count))
            except Exception:  # a template may fail as it likes
                continue
            break
    return texts


def _turn(tokenizer: Any, calls: Sequence[Call], as_json: bool) -> str:
    def render(chat: list[dict], **more: Any) -> str:
        return tokenizer.apply_chat_template(chat, tools=tools, tokenize=False, **more)

    functions = [
        call | {"arguments": json.dumps(call["arguments"])} if as_json else call for call in calls
    ]
    made = [
        {"type": "function", "id": f"callid{number:03}", "function": function}
        for number, function in enumerate(functions)
    ]
    tools = [{"type": "function", "function": _described(call)} for call in calls]
    chat: list[dict] = [{"role": "user", "content": "?"}]
    prompt = render(chat, add_generation_prompt=True)
    text = render([*chat, {"role": "assistant", "content": "", "tool_calls": made}])
    return text[len(common_start([prompt, text])) :]


def _described(call: Call) -> dict[str, Any]:
    known = {key: {"type": "string", "description": key} for key in call["arguments"]}
    parameters = {"type": "object", "properties": known, "required": list(known)}
    return {"name": call["name"], "description": call["name"], "parameters": parameters}
