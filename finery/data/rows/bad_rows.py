"""Rows that cannot be used: where they are, and what is wrong with them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

SHOWN = 20
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be used; `dataclasses.asdict` gives what rejected.jsonl holds.

    `row` counts from 1 in its file; `field` is the column, empty if it is the whole row, with the
    place inside where there is one, from 0: "tools.0.name"; `kind` is a short name that is the
    same for the same fault, such as "empty-answer". What a line or a file of UTF-8 cannot hold is
    escaped, as the names of columns and keys may have anything in them.
    """

    file: str
    row: int
    field: str
    kind: str
    problem: str

    def __post_init__(self) -> None:
        for name in ("field", "problem"):
            if UNPRINTABLE.search(said := getattr(self, name)):
                object.__setattr__(self, name, UNPRINTABLE.sub(_escaped, said))

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.file, f"row {self.row}", self.field, self.problem)))


class FieldError(Exception):
    """What is wrong with one column of a row; whoever knows the row makes a `BadRow` of it."""

    def __init__(self, field: str | None, kind: str, problem: str):
        super().__init__(problem)
        self.field, self.kind, self.problem = field or "", kind, problem


class Tally:
    """Counts bad rows by their kind and keeps the first few to show: its size does not grow."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.first: list[BadRow] = []

    def add(self, bad: BadRow) -> None:
        self.kinds[bad.kind] += 1
        if len(self.first) < SHOWN:
            self.first.append(bad)

    def add_all(self, rows: Iterable[Row | BadRow]) -> Iterator[Row]:
        """The rows that are good; the bad ones are counted on the way."""
        for row in rows:
            if isinstance(row, BadRow):
                self.add(row)
            else:
                yield row

    @property
    def total(self) -> int:
        return self.kinds.total()

    def lines(self) -> list[str]:
        """A line for each of the first bad rows; if there are more, a last one with the totals."""
        shown = [str(bad) for bad in self.first]
        if self.total > 1:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.most_common())
            more = f", the first {SHOWN} shown" if self.total > SHOWN else ""
            shown.append(f"{self.total} bad rows{more}: {kinds}")
        return shown


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
