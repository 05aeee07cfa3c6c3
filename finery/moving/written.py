"""params.yaml as text, with a comment behind each setting that has one."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

PLAIN = re.compile(r"[A-Za-z_/][\w./@+=-]*(:[\w./@+=-]+)*")
RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "none", "y", "n"}


def written(values: Mapping[str, Any], comments: Mapping[str, str], head: str) -> str:
    """The sections with a line between them; `comments` are by dotted keys."""
    sections = ("\n".join(_lines({name: section}, comments)) for name, section in values.items())
    return head + "\n" + "\n\n".join(sections) + "\n"


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their dotted keys as mappings in mappings."""
    whole: dict[str, Any] = {}
    for dotted, value in flat.items():
        *sections, key = dotted.split(".")
        inner = whole
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[key] = value
    return whole


def _lines(
    values: Mapping[str, Any], comments: Mapping[str, str], above: str = "", deep: int = 0
) -> Iterator[str]:
    for key, value in values.items():
        dotted = f"{above}{key}"
        said = f"  # {comments[dotted]}" if comments.get(dotted) else ""
        if isinstance(value, dict) and value and not isinstance(value, Flow):
            yield f"{'  ' * deep}{key}:{said}"
            yield from _lines(value, comments, f"{dotted}.", deep + 1)
        else:
            yield f"{'  ' * deep}{key}: {_value(value)}{said}"


class Flow(dict):
    """A mapping that is written on one line."""


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")  # YAML 1.1 takes 1e-4 for a word
    if isinstance(value, int):
        return str(value)
    plain = PLAIN.fullmatch(str(value)) and str(value).lower() not in RESERVED
    return str(value) if plain else json.dumps(str(value), ensure_ascii=False)
