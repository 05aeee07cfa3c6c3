"""The alpaca format: instruction, input, output, and optionally system and history."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finery.data.dataset_info import DATASET_INFO, Columns, Entry, find
from finery.data.errors import DataError
from finery.data.rows import read_rows

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
SURROGATE = re.compile("[\ud800-\udfff]")
Message = dict[str, str]


@dataclass(frozen=True)
class Example:
    """One conversation; `keywords` are what a right answer to its last turn contains."""

    dataset: str
    row: int
    messages: tuple[Message, ...]
    keywords: tuple[str, ...] = field(default=())


def load_dataset(dataset_dir: Path, name: str, variables: dict[str, str]) -> list[Example]:
    """Every row of a dataset as a conversation, with its {{placeholders}} filled.

    Raises `DataError` with file, row and column at the first row that is wrong.
    """
    entry = find(dataset_dir, name)
    file = dataset_dir / entry.file_name
    if not file.resolve().is_relative_to(dataset_dir.resolve()):
        info = dataset_dir / DATASET_INFO
        raise DataError(f"{info}: {name}.file_name: {entry.file_name} leaves the folder")
    return [
        _Row(file, number, row, variables).example(name, entry)
        for number, row in enumerate(read_rows(file), 1)
    ]


@dataclass(frozen=True)
class _Row:
    file: Path
    number: int
    values: dict[str, Any]
    variables: dict[str, str]

    def example(self, dataset: str, entry: Entry) -> Example:
        keywords = self.values.get(entry.columns.keywords) or []
        if not isinstance(keywords, list):
            raise self._error(entry.columns.keywords, "must be a list of strings")
        filled = tuple(self._filled(entry.columns.keywords, word) for word in keywords)
        return Example(dataset, self.number, tuple(self._messages(entry.columns)), filled)

    def _messages(self, columns: Columns) -> list[Message]:
        messages = []
        if columns.system and (system := self._text(columns.system, optional=True)):
            messages.append({"role": "system", "content": system})
        for turn in self._history(columns):
            messages += _turn(*turn)
        question = self._text(columns.prompt)
        if query := self._text(columns.query, optional=True):
            question = f"{question}\n{query}"
        return messages + _turn(question, self._text(columns.response))

    def _history(self, columns: Columns) -> list[tuple[str, str]]:
        turns = (self.values.get(columns.history) if columns.history else None) or []
        if not isinstance(turns, list) or any(
            not isinstance(turn, list) or len(turn) != 2 for turn in turns
        ):
            raise self._error(columns.history, "must be a list of [question, answer] pairs")
        return [
            (self._filled(columns.history, question), self._filled(columns.history, answer))
            for question, answer in turns
        ]

    def _text(self, column: str, optional: bool = False) -> str:
        value = self.values.get(column)
        if optional and (value is None or (isinstance(value, str) and not value.strip())):
            return ""
        if column not in self.values:
            have = ", ".join(self.values) or "none"
            raise self._error(column, f"missing column; the row has {have}")
        return self._filled(column, value)

    def _filled(self, column: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self._error(column, f"must be a string, not {json.dumps(value):.60}")
        if half := SURROGATE.search(value):
            raise self._error(
                column, f"holds half a character (U+{ord(half[0]):X}); write all of it"
            )

        def fill(match: re.Match[str]) -> str:
            if match[1] not in self.variables:
                raise self._error(column, f"{match[0]} has no value; set data.variables.{match[1]}")
            return self.variables[match[1]]

        text = PLACEHOLDER.sub(fill, value)
        if not text.strip():
            raise self._error(column, "is empty; fill it or remove the row")
        return text

    def _error(self, column: str | None, problem: str) -> DataError:
        return DataError(f"{self.file}: row {self.number}: {column}: {problem}")


def _turn(question: str, answer: str) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
