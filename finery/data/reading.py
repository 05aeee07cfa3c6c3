"""A dataset by its name: its files, and its rows as examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.data import alpaca, conversations
from finery.data.bad_rows import BadRow as BadRow
from finery.data.bad_rows import FieldError
from finery.data.dataset_info import DATASET_INFO, find
from finery.data.entries import Entry, Kind
from finery.data.errors import DataError
from finery.data.examples import Example
from finery.data.fields import Fields, shown
from finery.data.remote import remote_files
from finery.data.rows import TYPES, Row, read_rows
from finery.data.tool_calls import parse_tools

MEDIA = ("images", "videos", "audios")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that can be read: small, can be pickled, holds no row.

    Iterating it gives each row as an `Example`, or as a `BadRow` in its place. `rows` and
    `example` are the two halves of that, for who reads in one process and converts in others.
    """

    name: str
    entry: Entry
    files: tuple[Path, ...]
    """All that is read, in this order; what comes from a hub or a cloud is in its cache."""
    labels: tuple[str, ...]
    """What the files are called in messages: the same wherever the cache is."""
    info: Path
    variables: dict[str, str] | None

    @property
    def kind(self) -> Kind:
        return self.entry.kind

    def __iter__(self) -> Iterator[Example | BadRow]:
        for row in self.rows():
            yield row if isinstance(row, BadRow) else self.example(row)

    def rows(self) -> Iterator[Row | BadRow]:
        """The rows as the files have them.

        Raises `DataError` where a file cannot be read any further, and at the end if a column
        that dataset_info.json names was in no row.
        """
        unseen = set(self.entry.columns.named)
        for file, label in zip(self.files, self.labels, strict=True):
            for row in read_rows(file, self.entry.columns.kto_tag, label):
                if unseen and isinstance(row, Row):
                    unseen.difference_update(row.values)
                yield row
        if unseen:
            raise DataError(
                f"{self.info}: {self.name}.columns: no row has {shown(min(unseen))};"
                " correct the name or remove it"
            )

    def example(self, row: Row) -> Example | BadRow:
        """What a row says, or what is wrong with it."""
        try:
            return self._example(row.number, Fields(row.values, self.variables))
        except FieldError as bad:
            return BadRow(row.file, row.number, bad.field, bad.kind, bad.problem)

    def _example(self, number: int, row: Fields) -> Example:
        entry = self.entry
        columns = entry.columns
        for medium in MEDIA:
            if row.get(getattr(columns, medium)):
                problem = f"holds {medium}, and only text can be trained on; remove the row"
                raise FieldError(getattr(columns, medium), "media", problem)
        more = _read(entry, row)
        return Example(self.name, number, **more)


def open_dataset(dataset_dir: Path, name: str, variables: dict[str, str] | None) -> Dataset:
    """The dataset called `name` in dataset_info.json; one that is elsewhere is fetched.

    Raises `DataError` if there is none, or its files cannot be had.
    """
    entry = find(dataset_dir, name)
    if entry.remote:
        files = remote_files(dataset_dir, entry)
    else:
        local = _local_files(dataset_dir, name, entry.file_name or "")
        files = {str(file): file for file in local}
    info = dataset_dir / DATASET_INFO
    return Dataset(name, entry, tuple(files.values()), tuple(files), info, variables)


def read_dataset(
    dataset_dir: Path, name: str, variables: dict[str, str] | None
) -> Iterator[Example | BadRow]:
    """Every row of a dataset, with its {{variables}} filled; those that are wrong as `BadRow`.

    Streams: memory does not grow with the rows. `variables` None leaves {{...}} as it is.
    Raises `DataError` if there is no such dataset, or a file cannot be read any further.
    """
    yield from open_dataset(dataset_dir, name, variables)


def _read(entry: Entry, row: Fields) -> dict[str, Any]:
    columns = entry.columns
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


def _local_files(dataset_dir: Path, name: str, file_name: str) -> list[Path]:
    """The file, or all files of a folder, in the order of their names."""
    root, place = dataset_dir.resolve(), dataset_dir / file_name
    found = sorted(place.iterdir()) if place.is_dir() else [place]
    files = [file for file in found if not (place.is_dir() and file.name.startswith("."))]
    where = f"{dataset_dir / DATASET_INFO}: {name}.file_name"
    for file in (place, *files):
        if not file.resolve().is_relative_to(root):
            shown_name = file.relative_to(dataset_dir) if file != place else file_name
            raise DataError(f"{where}: {shown_name} leaves the folder; copy it there")
    if not place.exists():
        raise DataError(f"{place}: no such file; see file_name in dataset_info.json")
    if not files:
        raise DataError(f"{place}: holds no files; see file_name in dataset_info.json")
    kinds = sorted({TYPES.get(file.suffix, file.name) for file in files})
    if len(kinds) > 1:
        raise DataError(f"{place}: holds {' and '.join(kinds)}; keep files of one type")
    return files
