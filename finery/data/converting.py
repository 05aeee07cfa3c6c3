"""What a row of any format and kind says, as the fields of an `Example`."""

from typing import Any

from finery.data import alpaca, conversations
from finery.data.bad_rows import FieldError
from finery.data.entries import Entry
from finery.data.fields import Fields, shown
from finery.data.tool_calls import parse_tools

MEDIA = ("images", "videos", "audios")


def said_by(row: Fields, entry: Entry) -> dict[str, Any]:
    """The fields that a row gives. Raises `FieldError` at the first column that is wrong."""
    columns = entry.columns
    _refuse_media(row, entry)
    if entry.kind == "text":
        return {"text": alpaca.text(columns, row)}
    named = columns.keywords in columns.named
    more: dict[str, Any] = {"keywords": _keywords(columns.keywords, row, named)}
    if columns.tools:
        more["tools"] = parse_tools(columns.tools, row.get(columns.tools))
    if entry.formatting == "alpaca":
        said = alpaca.messages(entry, row)
        if entry.ranking:
            for side in ("chosen", "rejected"):
                more[side] = alpaca.answer(getattr(columns, side), row)
        else:
            said.append(alpaca.answer(columns.response or "", row))
    else:
        said = conversations.messages(entry, row)
        if entry.ranking:
            for side in ("chosen", "rejected"):
                more[side] = conversations.answer(entry, getattr(columns, side), row)
    if entry.kind == "kto":
        more["desirable"] = _verdict(columns.kto_tag or "", row)
    return more | {"messages": tuple(said)}


def _refuse_media(row: Fields, entry: Entry) -> None:
    for medium in MEDIA:
        column = getattr(entry.columns, medium)
        if row.get(column):
            problem = f"holds {medium}, and only text can be trained on; remove the row"
            raise FieldError(column, "media", problem)


def _keywords(column: str | None, row: Fields, named: bool) -> tuple[str, ...]:
    """The keywords; a text in a column that only happens to have their name is none of them."""
    keywords = row.get(column)
    if not keywords or column is None or (isinstance(keywords, str) and not named):
        return ()
    if not isinstance(keywords, list):
        raise FieldError(column, "keywords", "must be a list of strings")
    return tuple([row.said(column, keyword) for keyword in keywords])


def _verdict(column: str, row: Fields) -> bool:
    verdict = row.required(column)
    if not isinstance(verdict, bool):
        raise FieldError(column, "kto-tag", f"must be true or false, not {shown(verdict)}")
    return verdict
