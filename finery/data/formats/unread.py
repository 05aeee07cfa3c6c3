"""Columns that rows have and their dataset's entry does not read.

One that says something where this format has a place for it would be missing from the training:
that is an error of the entry. Any other is said once a dataset.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from finery.data.datasets.entries import Entry
from finery.data.errors import DataError
from finery.data.formats.message_keys import THINKING, WEIGHTS, empty
from finery.data.rows.fields import shown
from finery.data.rows.files import Row

NAMES = {
    "prompt": ("prompt", "instruction"),
    "query": ("query", "input"),
    "response": ("response", "output"),
    "history": ("history",),
    "messages": ("messages", "conversations", "conversation"),
    "system": ("system", "system_prompt"),
    "tools": ("tools", "functions"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "kto_tag": ("kto_tag", "label"),
    "images": ("images", "image"),
    "videos": ("videos", "video"),
    "audios": ("audios", "audio"),
}
"""The keys of `columns`, and what such columns are mostly called."""
KEYS = {name: key for key, names in NAMES.items() for name in names}
THOUGHTS = "thinking of earlier turns"
"""Among what is not read: what a chat template writes of the last turn alone."""
NO_THOUGHTS = "no thinking"
"""Beside what is not read: answers without, before which a template writes an empty thought."""
INVISIBLE = " \t\r\n\ufeff\u200b"
MARKS = {*THINKING, *WEIGHTS}
KNOWN = {*KEYS, *MARKS}
COUNTED = (1, "1", "1.0", "true", "True")


class UnreadError(DataError):
    """Columns that say something, and an entry that does not read them."""


def unread(row: Row, entry: Entry) -> tuple[str, ...]:
    """The columns of a row that say something and are not read.

    Raises `UnreadError` if this format has a place for one of them.
    """
    values, reads = row.values, entry.reads
    held = [name for name in values if name not in reads and not empty(values[name])]
    if wanted := {name: key for name in held if (key := _key(name, values, entry)) is not None}:
        raise UnreadError(f"{row.file}: row {row.number}: {_problem(wanted, values, entry)}")
    return tuple(held)


def said(name: str, rows: Mapping[str, int]) -> Iterator[str]:
    """What is to be said of the dataset `name`: what is not read, and in how many `rows`."""
    rows = dict(rows)
    if lost := rows.pop(THOUGHTS, 0):
        yield f"{name}: the chat template leaves out the thinking of earlier turns in {lost} rows"
    if empty := rows.pop(NO_THOUGHTS, 0):
        yield (
            f"{name}: the empty thought that stands before the answers of {empty} rows is not"
            " trained on; data.chat_template_kwargs can have it in the prompt when the model is"
            " asked, too, if the chat template knows a keyword for that"
        )
    if rows:
        most_first = sorted(rows, key=lambda each: (-rows[each], each))
        counted = [f"{each or shown(each)} in {rows[each]} rows" for each in most_first]
        rest = '"ignore" in its entry says that this is right'
        yield f"{name}: not read: {', '.join(counted)}; {rest}"


def _key(name: str, row: Mapping[str, Any], entry: Entry) -> str | None:
    """The key of `columns` that would read a column; "" if none can, None if it may be unread."""
    plain = name.strip(INVISIBLE).casefold()
    if plain not in KNOWN and plain not in entry.by_name:
        return None
    key = entry.by_name.get(plain) or KEYS.get(plain)
    if key in entry.keys:
        other = getattr(entry.columns, key)
        # A verdict is true or false; labels of other kinds are about the row.
        label = plain == "label" and str(row[name]).casefold() not in ("true", "false")
        return None if label or (other in row and other in entry.reads) else key
    if plain not in MARKS or entry.kind == "text":
        return None
    return None if plain in WEIGHTS and row[name] in COUNTED else ""


def _problem(wanted: Mapping[str, str], row: Mapping[str, Any], entry: Entry) -> str:
    """What is wrong, and the entry that would read what it can."""
    names = ", ".join(map(shown, wanted))
    ways = [f'"ignore": [{names}]']
    if any(wanted.values()):
        ways.insert(0, f"set {json.dumps(_entry(wanted, row, entry), ensure_ascii=False)[1:-1]}")
    else:
        ways.insert(0, "write messages, which can say it")
    if any(name != name.strip(INVISIBLE) for name in wanted):
        plain = ", ".join(shown(name.strip(INVISIBLE)) for name in wanted)
        ways.insert(0, f"rename {names} to {plain}")
    columns = "column" if len(wanted) == 1 else "columns"
    return (
        f"{columns} {names}: not read, and not empty; {', or '.join(ways)} in its entry in"
        " dataset_info.json"
    )


def _entry(wanted: Mapping[str, str], row: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """What the entry must have to read these columns beside those that it reads."""
    new = {key: name for name, key in wanted.items() if key}
    used = {key: getattr(entry.columns, key) for key in entry.keys}
    columns = {key: name for key, name in used.items() if name in row and key not in new} | new
    if entry.ranking or not {"chosen", "rejected"} & set(columns):
        return {"columns": columns}
    response = columns.pop("response", "chosen")
    return {"columns": {"chosen": response, "rejected": "rejected"} | columns, "ranking": True}
