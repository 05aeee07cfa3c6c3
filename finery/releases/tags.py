"""The register: GTO's annotated tags, https://dvc.org/doc/gto/user-guide.

`merged@v0.2.0` registers a version, `merged#prod#3` puts the version of its commit into a stage.
The message of a tag that Finery makes ends in a record, as JSON: what was compared, how it went,
what a person decided. It travels with git, like the tag.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.releases import git
from finery.releases.errors import NotDelivered
from finery.to_json import to_json


@dataclass(frozen=True)
class Event:
    """One tag, read: `action` is GTO's (register, assign, ...), `stage` only where it has one."""

    action: str
    name: str
    version: str | None
    stage: str | None
    commit: str
    time: int
    tag: str
    record: dict[str, Any]


def events(root: Path, name: str | None = None) -> list[Event]:
    """All of GTO's tags, or those of one model, in the order they were made.

    Lightweight tags do not count, as for GTO.
    """
    from gto.tag import find, parse_name
    from scmrepo.git import Git

    found = [(tag, parse_name(tag.name)) for tag in find(name=name, scm=Git(str(root)))]
    found.sort(key=lambda pair: (pair[0].tag_time, pair[1].get("counter", 0)))
    return [
        Event(
            action=parsed["action"].value,
            name=parsed["name"],
            version=parsed.get("version"),
            stage=parsed.get("stage"),
            commit=tag.target,
            time=tag.tag_time,
            tag=tag.name,
            record=_record(tag.message),
        )
        for tag, parsed in found
    ]


def register(root: Path, name: str, version: str, commit: str) -> str:
    """Tag a commit as a version; returns the tag."""
    tag = f"{name}@{version}"
    git.tag(root, tag, commit, f"Register {name} {version}\n", _next_second(root))
    return tag


def assign(root: Path, name: str, stage: str, commit: str, title: str, record: dict) -> str:
    """Tag a commit as the one in `stage` from now on, with its record; returns the tag."""
    from gto.constants import Action
    from gto.tag import name_tag
    from scmrepo.git import Git

    tag = name_tag(Action.ASSIGN, name, stage=stage, scm=Git(str(root)))
    message = f"{' '.join(title.split())}\n\n{to_json(record, indent=2)}\n"
    git.tag(root, tag, commit, message, _next_second(root))
    return tag


def bring(root: Path, name: str | None = None) -> list[str]:
    """Fetch what tags of a model, or of all, git's remote has and this clone lacks: their names.

    Raises `NotDelivered` if the remote does not answer.
    """
    from gto.tag import parse_name

    def is_wanted(tag: str) -> bool:
        found = parse_name(tag, raise_on_fail=False)
        return bool(found) and name in (None, found["name"])

    return git.fetch_tags(root, is_wanted)


def bring_or_say(root: Path, name: str, say: Callable[[str], None], insist: bool = False) -> None:
    """`bring`, saying what came, or that the remote does not answer; `insist` raises that."""
    try:
        if brought := bring(root, name):
            say(f"fetched from {git.remote(root)}: {', '.join(brought)}")
    except NotDelivered as error:
        if insist:
            raise
        say(f"{error}; so only the releases that are known here count")


def _next_second(root: Path) -> int:
    """Now, but after every tag: the latest tag of a stage wins, also where a clock is behind."""
    return max([int(time.time()), *(event.time + 1 for event in events(root))])


def _record(message: str) -> dict[str, Any]:
    """The JSON after the title; empty for a tag that somebody else made."""
    text = message.partition("\n\n")[2].strip()
    try:
        record = json.JSONDecoder().raw_decode(text)[0]
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
