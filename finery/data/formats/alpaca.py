"""The alpaca format: instruction, input and output, or one text, and columns beside them."""

from typing import Any

from finery.data.datasets.entries import Columns, Entry
from finery.data.formats.examples import Message
from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import Fields
from finery.data.rows.nested import opened


def text(columns: Columns, row: Fields) -> str:
    """What a row of a pretraining dataset says."""
    return _joined(columns, row)


def messages(entry: Entry, row: Fields) -> list[Message]:
    """The conversation of a row up to its last question."""
    columns, said = entry.columns, []
    if system := row.optional(columns.system):
        said.append({"role": "system", "content": system})
    for question, answer in _history(columns.history, row):
        said += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [*said, {"role": "user", "content": _joined(columns, row)}]


def answer(column: str, row: Fields) -> Message:
    """An answer that stands in a column of its own."""
    return {"role": "assistant", "content": row.text(column, "empty-answer")}


def _joined(columns: Columns, row: Fields) -> str:
    """The question: prompt and query, of which one may be empty."""
    query = row.optional(columns.query)
    if not columns.prompt:
        return row.text(columns.query or "")
    if query and not row.optional(columns.prompt):
        return query
    prompt = row.text(columns.prompt)
    return f"{prompt}\n{query}" if query else prompt


def _history(column: str | None, row: Fields) -> list[tuple[str, str]]:
    turns: Any = opened(column, row.get(column)) or []
    if not turns or column is None:
        return []
    if not isinstance(turns, list) or any(
        not isinstance(turn, list) or len(turn) != 2 for turn in turns
    ):
        raise FieldError(column, "history", "must be a list of [question, answer] pairs")
    return [
        (row.said(column, question), row.said(column, reply, "empty-answer"))
        for question, reply in turns
    ]
