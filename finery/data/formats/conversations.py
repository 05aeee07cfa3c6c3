"""The sharegpt and openai formats: a list of messages, each tagged with who says it."""

from typing import Any

from finery.data.datasets.entries import Entry
from finery.data.formats.examples import Message
from finery.data.formats.tool_calls import openai_calls, parse_calls
from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import Fields, shown
from finery.data.rows.nested import opened

ASKS = ("user", "tool")
RESULT = ("tool_call_id", "name")
"""What some chat templates want to know of a tool's result, if the data has it."""
FIRST = ("tool", "system")
"""A result of a tool before anybody could call it."""


def messages(entry: Entry, row: Fields) -> list[Message]:
    """The conversation of a row, from a system prompt, if there is one, to its last message.

    Raises `FieldError` if the roles do not take turns: user or observation, then assistant or
    function call.
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
    if said[0]["role"] != "system" and (system := row.optional(entry.columns.system)):
        said.insert(0, {"role": "system", "content": system})
    return said if said[0]["content"].strip() or said[0]["role"] != "system" else said[1:]


def answer(entry: Entry, column: str, row: Fields) -> Message:
    """A chosen or rejected answer, a message in a column of its own."""
    said = _message(entry, row, column, opened(column, row.required(column)), column, "")
    if said["role"] != "assistant":
        problem = f"must be by {entry.tags.assistant_tag!r}"
        raise FieldError(column, "role-order", problem)
    return said


def _message(
    entry: Entry, row: Fields, column: str, tagged: Any, place: str, where: str
) -> Message:
    """A message; `place` is where it is in the row, and `where` its number, in words."""
    tags = entry.tags
    if not isinstance(tagged, dict):
        problem = f"{where}must be an object, not {shown(tagged)}"
        raise FieldError(column, "not-an-object", problem)
    calls = tagged.get("tool_calls") if entry.formatting == "openai" else None
    calls = opened(f"{place}.tool_calls", calls)
    for tag in (tags.role_tag, tags.content_tag):
        if tag not in tagged and not (calls and tag == tags.content_tag):
            have = ", ".join(map(str, tagged)) or "none"
            problem = f"{where}no {tag!r}; it has {have}: see tags in dataset_info.json"
            raise FieldError(column, "missing-tag", problem)
    role, content = tagged[tags.role_tag], tagged.get(tags.content_tag)
    if calls and role in (tags.assistant_tag, tags.function_tag):
        text = "" if content is None else row.filled(column, content, where)
        return openai_calls(row, f"{place}.tool_calls", calls, text)
    if not isinstance(role, str) or role not in tags.roles:
        known = ", ".join(map(repr, tags.roles))
        problem = f"{where}unknown {tags.role_tag} {shown(role)}; the tags are {known}"
        raise FieldError(column, "unknown-role", problem)
    match tags.roles[role]:
        case "function":
            if not isinstance(content, str) or not content.strip():
                row.said(column, content, "empty-answer", where)
            return parse_calls(row, f"{place}.{tags.content_tag}", content)
        case "assistant":
            text = row.said(column, content, "empty-answer", where)
            return {"role": "assistant", "content": text}
        case "user":
            return {"role": "user", "content": row.said(column, content, "empty-text", where)}
        case "tool":  # may return nothing
            known = {
                key: row.filled(column, tagged[key], where)
                for key in RESULT
                if isinstance(tagged.get(key), str)
            }
            return {"role": "tool", "content": row.filled(column, content, where)} | known
        case other:
            return {"role": other, "content": row.filled(column, content, where)}


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
