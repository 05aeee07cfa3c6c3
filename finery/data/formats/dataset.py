"""A dataset by its name: its files, and its rows as examples."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from finery.data.datasets.dataset_info import DATASET_INFO, find
from finery.data.datasets.entries import Entry, Kind
from finery.data.datasets.remote import remote_files
from finery.data.errors import DataError
from finery.data.formats import converting
from finery.data.formats.examples import Example
from finery.data.formats.unread import said, unread
from finery.data.rows.bad_rows import BadRow as BadRow
from finery.data.rows.bad_rows import FieldError, Tally
from finery.data.rows.fields import Fields, shown
from finery.data.rows.files import TYPES, Row, read_rows


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
    seeing: bool = False
    """Whether the model reads images; then rows may have some, files beside dataset_info.json."""

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
        unseen, read = set(self.entry.columns.named), False
        for file, label in zip(self.files, self.labels, strict=True):
            for row in read_rows(file, self.entry.columns.kto_tag, label):
                if unseen and isinstance(row, Row):
                    unseen.difference_update(row.values)
                    read = True
                yield row
        if unseen and read:
            raise DataError(
                f"{self.info}: {self.name}.columns: no row has {shown(min(unseen))};"
                " correct the name or remove it"
            )

    def example(self, row: Row) -> Example | BadRow:
        """What a row says, or what is wrong with it.

        Raises `UnreadError` if columns that are not read say something that has a place.
        """
        fields = Fields(row.values, self.variables)
        if not row.values.keys() <= self.entry.reads:
            fields.unread = unread(row, self.entry)
        try:
            seen = self.info.parent if self.seeing else None
            return converting.example(self.name, row.number, fields, self.entry, seen)
        except FieldError as bad:
            return BadRow(row.file, row.number, bad.field, bad.kind, bad.problem)

    def test(self, row: Row) -> Example | BadRow:
        """The same of a row that is a test: it must have an answer to compare others with."""
        example = self.example(row)
        if self.kind != "chat" or isinstance(example, BadRow):
            return example
        columns = self.entry.columns
        field = columns.response if self.entry.formatting == "alpaca" else columns.messages
        if len(example.messages) - 1 in example.uncounted:
            problem = "a test asks for its last answer, and that has the weight 0; remove the row"
            return BadRow(row.file, row.number, field or "", "weight", problem)
        if not example.says_nothing:
            return example
        problem = "the last answer says nothing that one could be compared with; remove the row"
        return BadRow(row.file, row.number, field or "", "empty-answer", problem)


def open_dataset(
    dataset_dir: Path, name: str, variables: dict[str, str] | None, seeing: bool = False
) -> Dataset:
    """The dataset called `name` in dataset_info.json; one that is elsewhere is fetched.

    `seeing`: for a model that reads images, too.
    Raises `DataError` if there is none, or its files cannot be had.
    """
    entry = find(dataset_dir, name)
    if entry.remote:
        files = remote_files(dataset_dir, entry)
    else:
        local = _local_files(dataset_dir, name, entry.file_name or "")
        files = {str(file): file for file in local}
    info = dataset_dir / DATASET_INFO
    return Dataset(name, entry, tuple(files.values()), tuple(files), info, variables, seeing)


def read_dataset(
    dataset_dir: Path, name: str, variables: dict[str, str] | None
) -> Iterator[Example | BadRow]:
    """Every row of a dataset, with its {{variables}} filled; those that are wrong as `BadRow`.

    Streams: memory does not grow with the rows. `variables` None leaves {{...}} as it is.
    Raises `DataError` if there is no such dataset, or a file cannot be read any further.
    """
    yield from open_dataset(dataset_dir, name, variables)


def check_datasets(
    dataset_dir: Path,
    names: Iterable[str],
    variables: dict[str, str] | None,
    tests: Collection[str] = (),
    seeing: bool = False,
) -> list[str]:
    """Read every row of these datasets; print a line for each that is good, and what is not read.

    Those in `tests` must have answers to compare others with. Returns the problems: of each
    dataset its first bad rows and the total of each kind, and what keeps it from being read.
    """
    problems = []
    for name in names:
        tally, good, passed = Tally(), 0, Counter[str]()
        try:
            dataset = open_dataset(dataset_dir, name, variables, seeing)
            convert = dataset.test if name in tests else dataset.example
            rows = (row if isinstance(row, BadRow) else convert(row) for row in dataset.rows())
            for each in tally.add_all(rows):
                good += 1
                passed.update(set(each.unread) if each.unread else ())
        except DataError as error:
            problems += [*tally.lines(), str(error)]
            continue
        problems += tally.lines()
        if not tally.total:
            print(f"{name}: {good} rows, {dataset.kind}: all good")
        for line in said(name, passed):
            print(line)
    return problems


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
    if inner := [file.name for file in files if file.is_dir()]:
        raise DataError(
            f"{place}: holds the folder {inner[0]}, in which no file is looked for; name it in"
            " file_name, or move its files up"
        )
    kinds = sorted({TYPES.get(file.suffix, file.name) for file in files})
    if len(kinds) > 1:
        raise DataError(f"{place}: holds {' and '.join(kinds)}; keep files of one type")
    return files
