"""What a row of any format and kind says, as an `Example`."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from finery.data.datasets.entries import Entry
from finery.data.formats import alpaca, conversations
from finery.data.formats.examples import Example
from finery.data.formats.images import pictures, refuse_media
from finery.data.formats.tool_calls import parse_tools
from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import Fields, shown
from finery.data.rows.nested import opened


def example(
    dataset: str, number: int, row: Fields, entry: Entry, seen: Path | None = None
) -> Example:
    """A row as an example; `seen` is the folder of its images, if the model reads any.

    Raises `FieldError` at the first column that is wrong.
    """
    columns = entry.columns
    refuse_media(entry, row, seen is not None and entry.kind == "chat")
    if entry.kind == "text":
        return Example(dataset, number, text=alpaca.text(columns, row), unread=row.unread)
    keywords = _keywords(columns.keywords, row, columns.named)
    tools = parse_tools(row, columns.tools) if columns.tools else ()
    answers: dict[str, Any] = {}
    if entry.formatting == "alpaca":
        said = alpaca.messages(entry, row)
        if entry.ranking:
            for side in ("chosen", "rejected"):
                answers[side] = alpaca.answer(getattr(columns, side), row)
        else:
            said.append(alpaca.answer(columns.response or "", row))
    else:
        said, answers["uncounted"] = conversations.messages(entry, row)
        if entry.ranking:
            for side in ("chosen", "rejected"):
                answers[side] = conversations.answer(entry, getattr(columns, side), row)
    if entry.kind == "kto":
        answers["desirable"] = _verdict(columns.kto_tag or "", row)
    if seen is not None and entry.kind == "chat":
        answers["images"] = pictures(entry, row, said, seen)
    answers["unread"] = row.unread
    return Example(dataset, number, tuple(said), tools, keywords=keywords, **answers)


def _keywords(column: str | None, row: Fields, named: Collection[str]) -> tuple[str, ...]:
    """The keywords; a text in a column that only happens to have their name is none of them."""
    keywords = opened(column, row.get(column))
    if not keywords or column is None:
        return ()
    if isinstance(keywords, str) and column not in named:
        row.unread += (column,)
        return ()
    if not isinstance(keywords, list):
        raise FieldError(column, "keywords", "must be a list of strings")
    return tuple([row.said(column, keyword) for keyword in keywords])


def _verdict(column: str, row: Fields) -> bool:
    verdict = row.required(column)
    if not isinstance(verdict, bool):
        raise FieldError(column, "kto-tag", f"must be true or false, not {shown(verdict)}")
    return verdict
