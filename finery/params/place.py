"""Where in params.yaml one of pydantic's errors is, and what is allowed there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass
class Place:
    """A location as users write it: pydantic's has names of types and tags of unions in between."""

    location: list[Any] = field(default_factory=list)
    of_several: bool = False
    """Whether the value may be of several types, of which pydantic tried one."""
    _field: FieldInfo | None = None
    _allowed: tuple[Any, ...] = ()
    """The types that the value may have."""
    _section: type[BaseModel] | None = None
    """What the last key of the location is one of."""

    @classmethod
    def of(cls, root: type[BaseModel], location: tuple[Any, ...]) -> Place:
        place = cls(_allowed=(root,))
        for part in location:
            if isinstance(part, str) and part.startswith(("list[", "literal[")):
                place.of_several = True
                break
            place._go(part)
        return place

    @property
    def description(self) -> str | None:
        """The description of the setting, on one line."""
        said = self._field.description if self._field else None
        return " ".join(said.split()) if said else None

    @property
    def keys(self) -> list[str]:
        """The keys of a section; of several kinds of them those that all have, and an ellipsis."""
        first, *others = [list(section.model_fields) for section in self._sections()]
        common = [key for key in first if all(key in each for each in others)]
        return [*common, "..."] if others else first

    @property
    def siblings(self) -> list[str]:
        """The keys that the last key of the location could have been."""
        return list(self._section.model_fields) if self._section else []

    def _go(self, part: Any) -> None:
        sections = list(self._sections())
        if len(sections) > 1:  # one of them, by its tag
            self._allowed = tuple(each for each in sections if part in _tags(each))
            return
        self.location.append(part)
        self._section = sections[0] if sections else None
        self._field = sections[0].model_fields.get(part) if sections else None
        inner = self._field.annotation if self._field else _items(self._allowed)
        self._allowed = tuple(_members(inner))

    def _sections(self) -> Iterator[type[BaseModel]]:
        for each in self._allowed:
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield each


def _tags(section: type[BaseModel]) -> set[Any]:
    """The values of the keys that can have one value alone."""
    literals = (get_args(each.annotation) for each in section.model_fields.values())
    return {values[0] for values in literals if len(values) == 1}


def _items(allowed: tuple[Any, ...]) -> Any:
    """The type of what is in a list or a mapping; None if it is neither."""
    for each in allowed:
        if get_origin(each) in (list, dict):
            return get_args(each)[-1]
    return None


def _members(annotation: Any) -> Iterator[Any]:
    """The types of a union, of what is annotated, or the one type that it is."""
    if annotation in (None, NoneType):
        return
    inner = get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        yield from _members(inner[0])
    elif get_origin(annotation) in (list, dict) or not inner or isinstance(inner[0], str):
        yield annotation
    else:
        for each in inner:
            yield from _members(each)
