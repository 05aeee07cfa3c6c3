"""What becomes of the keys of one run: settings of ours, each with where it came from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from finery.moving.llamafactory.files.given import NOTHING, Given, Source, arguments, typed

CARRIED, NOTED, LEFT, UNKNOWN = "carried", "carried, with a note", "not carried", "unknown"
THEIRS = "LLaMA-Factory's default"


@dataclass
class Outcome:
    """What became of a key that was given; `to` is a setting of params.yaml, if it is one."""

    given: Given
    fate: str
    to: str = ""
    note: str = ""


@dataclass(eq=False)
class Draft:
    """The settings that a run makes: by section, `step` and `tuner` being the step's own."""

    source: Source
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        """The value that LLaMA-Factory would see: the one that is given, or its default."""
        if self.has(key):
            return typed(self.source.given[key])
        return arguments()[key].default if key in arguments() else None

    def has(self, key: str) -> bool:
        return self.source.has(key)

    def open(self, key: str) -> bool:
        """Whether it is given and nothing was said of it yet."""
        return key in self.source.given and key not in self.outcomes

    def carry(self, to: str, value: Any, *keys: str, note: str = "") -> None:
        """Set a setting to what follows from these keys; None leaves it as it is anyway."""
        said = [self.source.given[key] for key in keys if self.has(key)]
        if value is not None:
            self.values[to] = value
            self.origins[to] = "; ".join(map(origin(to), said)) or THEIRS
        for given in said:
            fate = NOTED if note else CARRIED
            self.outcomes[given.key] = Outcome(given, fate, to if value is not None else "", note)

    def note(self, key: str, note: str, to: str = "") -> None:
        if key in self.source.given:
            self.outcomes[key] = Outcome(self.source.given[key], NOTED, to, note)

    def leave(self, key: str, reason: str) -> None:
        if key in self.source.given:
            self.outcomes[key] = Outcome(self.source.given[key], LEFT, "", reason)

    def settle(self, key: str) -> bool:
        """Whether nothing needs to become of it: it is empty, or as LLaMA-Factory has it anyway."""
        given = self.source.given[key]
        known = arguments().get(key)
        if given.value in NOTHING:
            self.outcomes[key] = Outcome(given, CARRIED, "", "says nothing")
        elif known is not None and typed(given) == known.default:
            self.outcomes[key] = Outcome(given, CARRIED, "", "is LLaMA-Factory's default")
        return key in self.outcomes


def origin(to: str) -> Callable[[Given], str]:
    """How a comment behind the setting `to` says what it came from."""

    def said(given: Given) -> str:
        named = given.where.endswith(given.key) or to.endswith(f".{given.key}")
        return given.where if named else f"{given.where} {given.key}"

    return said
