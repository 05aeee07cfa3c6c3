"""Calls of tools whose arguments are JSON: in a whole that is JSON too, or after a name.

Hermes, Llama 3 and Mistral write the one, DeepSeek and newer Mistrals the other. Each
function here learns from a text with known calls what stands around them.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any

Call = dict[str, Any]
"""`name` and `arguments`, an object."""
Reader = Callable[[str], list[Call]]
"""Finds the calls in what a model wrote."""
OPENING = re.compile(r"[{\[]")
PATIENCE = 1000
"""Brackets of no JSON that are passed over: an answer that goes astray has thousands."""


def values(text: str) -> Iterator[tuple[int, int, Any]]:
    """The JSON objects and lists in a text, none inside another: start, end and value of each."""
    decoder, place, failed = json.JSONDecoder(), 0, 0
    while failed < PATIENCE and (found := OPENING.search(text, place)):
        place = found.start()
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place, failed = place + 1, failed + 1
        else:
            yield place, end, value
            place = end


def objects(text: str, known: Sequence[Call]) -> Reader | None:
    """Calls that are JSON objects with a key for the name and one for the arguments."""
    found = [
        (start, end, keys)
        for start, end, value in values(text)
        if (keys := next((keys for call in known if (keys := _keys(value, call))), None))
    ]
    if not found:
        return None
    name, arguments = found[0][2]
    before, after = around(text, [(start, end) for start, end, _ in found])

    def read(answer: str) -> list[Call]:
        return [
            {"name": call[name], "arguments": _object(call[arguments])}
            for start, end, value in values(answer)
            if answer[:start].rstrip().endswith(before) and answer[end:].lstrip().startswith(after)
            for call in _members(value)
            if isinstance(call.get(name), str) and _object(call.get(arguments)) is not None
        ]

    return read


def named_objects(text: str, known: Sequence[Call]) -> Reader | None:
    """Calls that are a name, something that is always the same, and the arguments as JSON."""
    spans, between = [], set()
    for call in known:
        name = text.find(call["name"])
        end = name + len(call["name"])
        at = next((s for s in values(text) if s[0] >= end and s[2] == call["arguments"]), None)
        if name < 0 or at is None:
            return None
        spans.append((name, at[1]))
        between.add(re.sub(r"\d+", r"\\d+", loose(text[end : at[0]])))
    before, after = around(text, spans)
    if len(between) > 1 or not before:
        return None
    pattern = re.compile(rf"{loose(before)}\s*([\w.-]+?)\s*{between.pop()}\s*(?={{)")

    def read(answer: str) -> list[Call]:
        found = {start: (end, value) for start, end, value in values(answer)}
        heads = [head for head in pattern.finditer(answer) if head.end() in found]
        return [
            {"name": head[1], "arguments": found[head.end()][1]}
            for head in heads
            if answer[found[head.end()][0] :].lstrip().startswith(after)
        ]

    return read


def around(text: str, spans: Sequence[tuple[int, int]]) -> tuple[str, str]:
    """What is before and after each span; what ends one that is alone is not known."""
    before = common_end([text[:start] for start, _ in spans]).strip()
    after = common_start([text[end:] for _, end in spans]).strip()
    return before, after if len(spans) > 1 else ""


def common_start(texts: Sequence[str]) -> str:
    letters = zip(*texts, strict=False)
    return "".join(same[0] for same in takewhile(lambda each: len(set(each)) == 1, letters))


def common_end(texts: Sequence[str]) -> str:
    return common_start([text[::-1] for text in texts])[::-1]


def loose(text: str) -> str:
    """A pattern for the text, whatever the white space in it."""
    return r"\s*".join(map(re.escape, text.split()))


def _keys(value: Any, known: Call) -> tuple[str, str] | None:
    """The keys that the name and the arguments of a call are under."""
    return next(
        (
            (name, arguments)
            for call in _members(value)
            for name in call
            for arguments in call
            if call[name] == known["name"] and _object(call[arguments]) == known["arguments"]
        ),
        None,
    )


def _members(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list, or the one, and what they have as `function`."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield each
            if isinstance(each.get("function"), dict):
                yield each["function"]


def _object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None
