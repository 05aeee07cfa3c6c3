"""The released versions of each model, and which of them is in which stage."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finery.releases import git
from finery.releases.errors import ReleaseError
from finery.releases.tags import Event, events

METRICS = "reports/evaluate/{name}/metrics.json"
STAGE = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]")


@dataclass(frozen=True)
class Release:
    """A registered version of a model, and the record of each stage that it was ever put in.

    `metrics` are {DATASET: {METRIC: number}}, as evaluated at its commit; `registered` is in UTC,
    like 2026-01-31T12:00:00Z; `override` is why a person released it against the comparison.
    """

    name: str
    version: str
    commit: str
    registered: str
    stages: tuple[str, ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    override: str | None = None


def releases(root: Path, name: str | None = None) -> list[Release]:
    """All releases, or those of one model: by name, the newest version first.

    Raises `ReleaseError` outside git, and for a name without a release.
    """
    git.head(root)
    found = registered(events(root))
    return [_with_metrics(root, release) for release in (_of(found, name) if name else found)]


def champion(root: Path, name: str, stage: str = "prod") -> Release | None:
    """The release that holds a stage; None if there is none."""
    git.head(root)
    found = registered(events(root, name))
    holder = next((release for release in found if stage in release.stages), None)
    return _with_metrics(root, holder) if holder else None


def registered(tags: Sequence[Event]) -> list[Release]:
    """The releases that tags, in their order, amount to; without their metrics."""
    versions: dict[tuple[str, str], Event] = {}
    for event in tags:
        if event.action == "register":
            versions[event.name, event.version] = event
        elif event.action == "deregister":
            versions.pop((event.name, event.version), None)
    stages = {(event.name, event.stage) for event in tags if event.stage}
    top = {(name, stage): holders(tags, name, stage)[-1:] for name, stage in sorted(stages)}
    found = [_release(event, tags, top) for event in versions.values()]
    found.sort(key=lambda release: semver(release.version), reverse=True)
    return sorted(found, key=lambda release: release.name)


def holders(tags: Sequence[Event], name: str, stage: str) -> list[str]:
    """The commits that a stage could be rolled back to, oldest first; the last one holds it.

    A promotion goes on top; a rollback takes off what was above the commit it went back to.
    """
    stack: list[str] = []
    for event in tags:
        if (event.name, event.stage) != (name, stage):
            continue
        if event.action == "unassign":
            stack = [commit for commit in stack if commit != event.commit]
        elif event.record.get("action") == "rollback" and event.commit in stack:
            del stack[len(stack) - stack[::-1].index(event.commit) :]
        elif stack[-1:] != [event.commit]:
            stack.append(event.commit)
    return stack


def find(found: Sequence[Release], name: str, wanted: str) -> Release:
    """The release that `wanted` names: a version such as v1.2.0, or the stage it is in.

    Raises `ReleaseError` naming what there is.
    """
    mine = _of(found, name)
    for release in mine:
        if wanted == release.version or wanted in release.stages:
            return release
    has = [f"{r.version} ({', '.join(r.stages)})" if r.stages else r.version for r in mine]
    raise ReleaseError(f"{name}@{wanted}: no such version or stage; there is {', '.join(has)}")


def semver(version: str) -> Any:
    """A version such as v1.2.0, to be ordered. Raises `ReleaseError` for anything else."""
    from gto.versions import SemVer

    if not SemVer.is_valid(version):
        raise ReleaseError(f"{version}: not a version; versions are like v1.2.0")
    return SemVer(version)


def check_stage(stage: str) -> None:
    if not STAGE.fullmatch(stage):
        raise ReleaseError(f"stage {stage}: use lower-case letters, digits and `-`, such as prod")


def _of(found: Sequence[Release], name: str) -> list[Release]:
    mine = [release for release in found if release.name == name]
    if not mine:
        names = ", ".join(dict.fromkeys(release.name for release in found))
        known = f"there are {names}" if names else "nothing was released yet"
        raise ReleaseError(f"{name}: no release; {known}")
    return mine


def _release(event: Event, tags: Sequence[Event], top: Mapping[tuple, list[str]]) -> Release:
    mine = (event.name, [event.commit])
    assigned = [
        tag
        for tag in tags
        if (tag.action, tag.name, tag.commit) == ("assign", event.name, event.commit)
    ]
    overrides = [tag.record["override"] for tag in assigned if tag.record.get("override")]
    return Release(
        name=event.name,
        version=event.version or "",
        commit=event.commit,
        registered=datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        stages=tuple(stage for (name, stage), commit in top.items() if (name, commit) == mine),
        records={tag.stage: tag.record for tag in assigned if tag.stage},
        override=overrides[-1] if overrides else None,
    )


def _with_metrics(root: Path, release: Release) -> Release:
    metrics = git.read_json(root, release.commit, METRICS.format(name=release.name))
    return replace(release, metrics=metrics or {})
