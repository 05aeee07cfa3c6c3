"""What files of LLaMA-Factory's say, key by key, where, and of which type it is."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from finery.errors import UserError

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NOTHING = (None, "", "none", "null", "None")
WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number"}


class MovingError(UserError):
    """What is to be brought here is not what it should be, or cannot become a pipeline."""


@dataclass(frozen=True)
class Given:
    """A key with the value that it has somewhere; `where` is a file with its line, or a command."""

    key: str
    value: Any
    where: str


@dataclass
class Source:
    """One run of LLaMA-Factory: what it is told to do, by a file or by a command."""

    name: str
    task: str
    """train, predict, eval, export or chat."""
    given: dict[str, Given]
    place: Path = Path()
    """The folder that the file is in."""
    environment: dict[str, str] = field(default_factory=dict)
    gpus: int = 1

    def path(self, key: str) -> str | None:
        """A path or name as it is given."""
        return str(self.given[key].value) if self.has(key) else None

    def has(self, key: str) -> bool:
        return key in self.given and self.given[key].value not in NOTHING


@dataclass(frozen=True)
class Argument:
    """One argument of LLaMA-Factory 0.9.5: its class, type, and value if it is not given."""

    group: str
    kind: str
    default: Any


@cache
def arguments() -> dict[str, Argument]:
    """All that LLaMA-Factory 0.9.5 knows, by name."""
    groups = json.loads((Path(__file__).parent / "arguments.json").read_text("utf-8"))
    return {
        name: Argument(group, kind, default)
        for group, named in reversed(groups.items())
        for name, (kind, default) in named.items()
    }


def typed(given: Given) -> Any:
    """The value in the type that its argument has: a command gives all of them as words.

    Raises `MovingError` for what is of no such type.
    """
    known, value = arguments().get(given.key), given.value
    if known is None or value in NOTHING or isinstance(value, dict):
        return None if value in NOTHING else value
    try:
        return _as(known.kind, value)
    except (ValueError, TypeError):
        wanted = WORDS.get(known.kind, known.kind)
        raise MovingError(f"{given.where}: {given.key}: must be {wanted}, not {value}") from None


def _is_whole(value: Any) -> bool:
    """Whether it was written without a point: steps may be a number of them, or a share."""
    return isinstance(value, int) or str(value).strip().lstrip("+-").isdecimal()


def names(value: Any) -> list[str]:
    """A list as LLaMA-Factory has it: a list, or its entries with commas between them."""
    if not isinstance(value, list):
        value = [] if value in NOTHING else str(value).split(",")
    return [str(part).strip() for part in value if str(part).strip()]


def _as(kind: str, value: Any) -> Any:
    word = str(value).strip().lower()
    if kind == "bool" and word in (*TRUE, *FALSE):
        return word in TRUE
    if kind in ("int", "float"):
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
        return (
            int(number) if number.is_integer() and (kind == "int" or _is_whole(value)) else number
        )
    if kind == "dict" and word.startswith("{"):
        return json.loads(value)
    if kind == "list":
        return names(value)
    return value
