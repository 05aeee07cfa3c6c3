"""One thing that the doctor found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """A fact about this machine; `advice` says in one line what to do, unless all is well.

    With a `problem` the configured pipeline cannot run here; with a `note` it can.
    """

    check: str
    level: Level
    what: str
    advice: str = ""


def ok(check: str, what: str) -> Finding:
    return Finding(check, "ok", what)


def note(check: str, what: str, advice: str) -> Finding:
    return Finding(check, "note", what, advice)


def problem(check: str, what: str, advice: str) -> Finding:
    return Finding(check, "problem", what, advice)
