"""Put a version into service, or the one before it back."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.params.schema import load
from finery.releases import data, git, tags
from finery.releases.bootstrap import Comparison
from finery.releases.candidate import candidate
from finery.releases.errors import ReleaseError, WorseThanChampion
from finery.releases.proof import prove
from finery.releases.registry import (
    Release,
    champion,
    check_stage,
    holders,
    registered,
    releases,
    semver,
)


def promote(
    root: Path,
    name: str,
    stage: str = "prod",
    version: str | None = None,
    override: str | None = None,
    push: bool = False,
) -> Release:
    """Put a model into a stage, if it is not worse than the version that is there.

    The model is the package of the current commit, registered as the next version (or as
    `version`) unless it is one already; or the registered `version`. `override` is the reason to
    promote it though it is worse or cannot be compared. `push` sends the package to the DVC
    remote, then the tags to git's. Nothing is tagged if anything fails. Raises
    `WorseThanChampion`; `ReleaseError` if something is missing, `NotDelivered` if a remote fails.
    """
    if override is not None and not override.strip():
        raise ReleaseError("override: no reason given; say why a worse model should be released")
    _check(root, stage, version, push)
    found = registered(tags.events(root, name))
    new = candidate(root, name, version, found)
    holder = champion(root, name, stage)
    if holder and holder.commit == new.commit:
        if push:
            _push(root, new, [event.tag for event in tags.events(root, name)])
        return holder
    record = _judge(root, name, stage, new, holder, override)
    _tag(root, new, stage, _title(new, stage, record), record, push)
    return _holder(root, name, stage)


def rollback(
    root: Path,
    name: str,
    stage: str = "prod",
    reason: str | None = None,
    push: bool = False,
) -> Release:
    """Put the version back that held a stage before; again, and it is the one before that.

    Raises `ReleaseError` if there is none, `NotDelivered` if a remote fails.
    """
    _check(root, stage, None, push)
    by_commit = {release.commit: release for release in releases(root, name)}
    held = [by_commit[c] for c in holders(tags.events(root, name), name, stage) if c in by_commit]
    if len(held) < 2:
        now = f"{held[0].version} is the first in {stage}" if held else f"nothing is in {stage}"
        raise ReleaseError(f"{name}: {now}; there is nothing to go back to")
    before, current = held[-2:]
    record = {
        "action": "rollback", "stage": stage, "version": before.version, "from": current.version,
        "reason": reason,
    }  # fmt: skip
    title = f"{name} {before.version} back in {stage}, after {current.version}"
    _tag(root, before, stage, f"{title}: {reason}" if reason else title, record, push)
    return _holder(root, name, stage)


def _check(root: Path, stage: str, version: str | None, push: bool) -> None:
    """What can be known to be missing before any work is done."""
    git.head(root)
    check_stage(stage)
    if version:
        semver(version)
    git.check_tagger(root)
    if push:
        git.remote(root)


def _judge(
    root: Path,
    name: str,
    stage: str,
    new: Release,
    holder: Release | None,
    override: str | None,
) -> dict[str, Any]:
    """The record of a promotion. Raises `WorseThanChampion`, unless there is a reason to go on."""
    record = {"action": "promote", "stage": stage, "version": new.version}
    if holder is None:
        return record | {"champion": None, "override": None}
    record |= {"champion": holder.version}
    params = load(root / "params.yaml").release
    try:
        comparisons, anew = prove(root, name, new.commit, holder.commit, params)
        record |= {"evaluated_anew": anew, "comparisons": [asdict(each) for each in comparisons]}
        _refuse_worse(name, stage, new, holder, comparisons)
    except UserError as error:
        if override is None:
            raise
        return record | {"override": override, "overridden": str(error)}
    return record | {"override": None}


def _refuse_worse(
    name: str, stage: str, new: Release, holder: Release, comparisons: Sequence[Comparison]
) -> None:
    worse = [_worse(each) for each in comparisons if each.verdict == "worse"]
    if worse:
        raise WorseThanChampion(
            f"{name} {new.version} is worse than {holder.version} in {stage}, which stays:"
            f" {'; '.join(worse)}"
        )


def _worse(c: Comparison) -> str:
    return (
        f"{c.metric} {c.candidate:.4g} against {c.champion:.4g}, {-c.gain:.3g} worse"
        f" ({-c.high:.3g} to {-c.low:.3g}; {c.samples} samples, {c.confidence:.0%} confidence)"
    )


def _title(new: Release, stage: str, record: dict[str, Any]) -> str:
    if record["champion"] is None:
        how = "the first there"
    elif record["override"] is not None:
        how = f"by decision of a person, after {record['champion']}"
    else:
        verdicts = {each["verdict"] for each in record["comparisons"]}
        how = f"{'better' if 'better' in verdicts else 'not worse'} than {record['champion']}"
    return f"{new.name} {new.version} in {stage}: {how}"


def _tag(
    root: Path, release: Release, stage: str, title: str, record: dict[str, Any], push: bool
) -> None:
    """Register a release that is not yet, and assign its stage: all of it or nothing."""
    if push:
        data.push(root, release.commit, release.name)
    version_tag, made = f"{release.name}@{release.version}", []
    try:
        if not release.registered:
            made.append(tags.register(root, release.name, release.version, release.commit))
        made.append(tags.assign(root, release.name, stage, release.commit, title, record))
        if push:
            git.push_tags(root, list(dict.fromkeys([version_tag, *made])))
    except BaseException:
        git.delete_tags(root, made)
        raise


def _push(root: Path, release: Release, names: list[str]) -> None:
    data.push(root, release.commit, release.name)
    git.push_tags(root, names)


def _holder(root: Path, name: str, stage: str) -> Release:
    release = champion(root, name, stage)
    assert release is not None, f"{name} has just been put into {stage}"
    return release
