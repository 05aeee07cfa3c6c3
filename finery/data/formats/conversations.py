"""The sharegpt and openai formats: a list of messages, each tagged with who says it."""

from typing import Any

from finery.data.datasets.entries import Entry
from finery.data.formats import message_keys
from finery.data.formats.examples import Message
from finery.data.formats.message_keys import empty
from finery.data.formats.tool_calls import openai_calls, parse_calls
from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import Fields, shown
from finery.data.rows.nested import opened

ASKS = ("user", "tool")
RESULT = ("tool_call_id", "name")
"""What some chat templates want to know of a tool's result, if the data has it."""
ANSWERS = ("assistant", "function")
COUNTS = "counts"
"""Kept in an answer that the loss does not count, until all of its conversation is read."""
FIRST = ("tool", "system")
"""A result of a tool before anybody could call it."""


def messages(entry: Entry, row: Fields) -> tuple[list[Message], tuple[int, ...]]:
    """The conversation of a row, from a system prompt, if there is one, to its last message.

    And which of its answers the loss does not count, by their indices. Raises `FieldError` if the
    roles do not take turns: user or observation, then assistant or function call.
    """
    column = entry.columns.messages or ""
    tagged = opened(column, row.required(column))
    if not isinstance(tagged, list) or not tagged:
        problem = f"must be a list of messages, not {shown(tagged)}"
        raise FieldError(column, "not-a-list", problem)
    said = [
        _message(entry, row, column, one, f"{column}.{number}", f"message {number + 1}: ")
        for number, one in enumerate(tagged)
    ]
    _check_order(entry, column, said, [one[entry.tags.role_tag] for one in tagged])
    said = _with_system(entry, row, said)
    uncounted = [
        index for index, one in enumerate(said) if len(one) > 2 and not one.pop(COUNTS, True)
    ]
    if uncounted:
        _refuse_uncounted(entry, column, said, uncounted)
    return said, tuple(uncounted)


def answer(entry: Entry, column: str, row: Fields) -> Message:
    """A chosen or rejected answer, a message in a column of its own."""
    said = _message(entry, row, column, opened(column, row.required(column)), column, "")
    if said["role"] != "assistant":
        problem = f"must be by {entry.tags.assistant_tag!r}"
        raise FieldError(column, "role-order", problem)
    if not said.pop(COUNTS, True):
        problem = "has the weight 0, and both answers are learnt from; remove the weight or the row"
        raise FieldError(column, "weight", problem)
    return said


def _message(
    entry: Entry, row: Fields, column: str, tagged: Any, place: str, where: str
) -> Message:
    """A message; `place` is where it is in the row, and `where` its number, in words."""
    tags = entry.tags
    if not isinstance(tagged, dict):
        problem = f"{where}must be an object, not {shown(tagged)}"
        raise FieldError(column, "not-an-object", problem)
    if entry.ignore:
        tagged = {
            key: value for key, value in tagged.items() if f"{column}.{key}" not in entry.ignore
        }
    plain = len(tagged) == 2 and tags.content_tag in tagged  # as nearly all are: by the million
    calls, of = (None, "") if plain else _calls(tagged, place)
    for tag in (tags.role_tag, tags.content_tag):
        if tag not in tagged and not (calls and tag == tags.content_tag):
            have = ", ".join(map(str, tagged)) or "none"
            problem = f"{where}no {tag!r}; it has {have}: see tags in dataset_info.json"
            raise FieldError(column, "missing-tag", problem)
    by, content = tagged[tags.role_tag], tagged.get(tags.content_tag)
    if not isinstance(by, str) or by not in tags.roles:
        known = ", ".join(map(repr, tags.roles))
        problem = f"{where}unknown {tags.role_tag} {shown(by)}; the tags are {known}"
        raise FieldError(column, "unknown-role", problem)
    role = tags.roles[by]
    more = {} if plain else _beside(entry, row, column, tagged, place, role, of)
    if isinstance(content, list):
        content = message_keys.joined(f"{place}.{tags.content_tag}", content)
    if calls and role in ANSWERS:
        text = "" if content is None else row.filled(column, content, where)
        return openai_calls(row, f"{place}.{of}", calls, text) | more
    match role:
        case "function":
            if not isinstance(content, str) or not content.strip():
                row.said(column, content, "empty-answer", where)
            return parse_calls(row, f"{place}.{tags.content_tag}", content) | more
        case "assistant":
            text = row.said(column, content, "empty-answer", where)
            return {"role": "assistant", "content": text, **more}
        case "user":
            return {"role": "user", "content": row.said(column, content, "empty-text", where)}
        case other:  # a tool may return nothing
            return {"role": other, "content": row.filled(column, content, where), **more}


def _calls(tagged: dict[str, Any], place: str) -> tuple[Any, str]:
    """The calls of a message as OpenAI has them, now or before it had several; and their key."""
    calls = opened(f"{place}.tool_calls", tagged.get("tool_calls"))
    if empty(calls) and not empty(tagged.get("function_call")):
        call = opened(f"{place}.function_call", tagged["function_call"])
        return [{"function": call}], "function_call"
    return None if empty(calls) else calls, "tool_calls"


def _beside(
    entry: Entry,
    row: Fields,
    column: str,
    tagged: dict[str, Any],
    place: str,
    role: str,
    calls: str,
) -> Message:
    """What else of a message is part of it. Raises `FieldError` for what is not read."""
    read, answers = {entry.tags.role_tag, entry.tags.content_tag}, role in ANSWERS
    held = {key: value for key, value in tagged.items() if key not in read and not empty(value)}
    more: Message = {}
    if role == "tool":
        for key in RESULT:
            if key in held:
                more[key] = row.filled(f"{place}.{key}", held.pop(key))
    if answers:
        held.pop(calls, None)
    if thought := message_keys.thinking(row, place, held, answers):
        more["reasoning_content"] = thought
    if not message_keys.counts(place, held, answers) and answers:
        more[COUNTS] = False
    message_keys.refuse_unread(row, column, place, held)
    return more


def _with_system(entry: Entry, row: Fields, said: list[Message]) -> list[Message]:
    """The conversation with the system prompt that it has itself, or has in a column."""
    first = said[0]["content"] if said[0]["role"] == "system" else ""
    rest = said[1:] if said[0]["role"] == "system" else said
    system = row.optional(entry.columns.system)
    if first.strip() and system and system != first:
        problem = "says another system prompt than the messages begin with; keep one of them"
        raise FieldError(entry.columns.system, "role-order", problem)
    system = first if first.strip() else system
    return [{"role": "system", "content": system}, *rest] if system else rest


def _refuse_uncounted(entry: Entry, column: str, said: list[Message], uncounted: list[int]) -> None:
    answers = [index for index, one in enumerate(said) if one["role"] == "assistant"]
    if entry.kind == "kto" and uncounted[-1] == answers[-1]:
        problem = "the answer that the verdict is about has the weight 0; remove the row"
        raise FieldError(column, "weight", problem)
    if uncounted == answers and not entry.ranking:
        problem = "no answer counts, all have the weight 0; remove the row"
        raise FieldError(column, "weight", problem)


def _check_order(entry: Entry, column: str, said: list[Message], tags: list[str]) -> None:
    asked, before = False, "system"
    for number, (one, tag) in enumerate(zip(said, tags, strict=True), 1):
        role, asks = one["role"], one["role"] in ASKS
        if role == "system" and number == 1:
            continue
        # The results of several calls may follow one another.
        several = role == before == "tool" and entry.formatting == "openai"
        if role == "system" or (asks == asked and not several) or (role, before) == FIRST:
            expected = entry.tags.assistant_tag if asked else entry.tags.user_tag
            problem = f"message {number} is by {tag!r}, where {expected!r} must speak"
            raise FieldError(column, "role-order", problem)
        asked, before = asks, role
    if asked is not entry.ranking or before == "system":
        last = entry.tags.user_tag if entry.ranking else entry.tags.assistant_tag
        raise FieldError(column, "role-order", f"must end with a message by {last!r}")
