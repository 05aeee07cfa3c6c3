"""Put a version into service, or the one before it back."""

from collections.abc import Callable, Sequence
from pathlib import Path

from finery.releases import git, kept, tags
from finery.releases.candidate import candidate
from finery.releases.errors import ReleaseError
from finery.releases.judge import Promotion, judge_release
from finery.releases.registry import (
    Release,
    champion,
    check_stage,
    holders,
    registered,
    releases,
    semver,
)

Say = Callable[[str], None]
"""Takes a line that a person should read though nothing went wrong."""


def promote(
    root: Path,
    name: str,
    stage: str = "prod",
    version: str | None = None,
    override: str | None = None,
    push: bool = False,
    say: Say = lambda _: None,
) -> Release:
    """Put a model into a stage, if it is not worse than the version that is there.

    The model is the package of the current commit, registered as the next version (or as
    `version`) unless it is one already; or the registered `version`. `override` is the reason to
    promote it though it is worse or cannot be compared. `push` sends the package to the DVC
    remote, then the tags to git's; without it, the DVC remote must have the package already.
    Nothing is tagged if anything fails. Raises `WorseThanChampion`; `ReleaseError` if something is
    missing, `NotDelivered` if a remote fails.
    """
    _check(root, name, stage, version, push, say)
    new = candidate(root, name, version, registered(tags.events(root, name)))
    kept.check_kept(root, new.commit, name, sent=not push)
    promotion = judge_release(root, new, stage, override)
    if promotion:
        put(root, [promotion], push, say)
    holder = _holder(root, name, stage)
    if push and not promotion:
        _push(root, holder, [event.tag for event in tags.events(root, name)])
    return holder


def rollback(
    root: Path,
    name: str,
    stage: str = "prod",
    reason: str | None = None,
    push: bool = False,
    say: Say = lambda _: None,
) -> Release:
    """Put the version back that held a stage before; again, and it is the one before that.

    Raises `ReleaseError` if there is none, or its package cannot be had any more, `NotDelivered`
    if a remote fails.
    """
    _check(root, name, stage, None, push, say)
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
    title = f"{title}: {reason}" if reason else title
    put(root, [Promotion(before, stage, title, record)], push, say)
    return _holder(root, name, stage)


def _check(root: Path, name: str, stage: str, version: str | None, push: bool, say: Say) -> None:
    """What can be known to be missing before any work is done; and every release is known."""
    git.head(root)
    check_stage(stage)
    if version:
        semver(version)
    git.check_tagger(root)
    if push and not git.remote(root):
        raise ReleaseError(git.NO_REMOTE)
    tags.bring_or_say(root, name, say, insist=push)


def put(
    root: Path, promotions: Sequence[Promotion], push: bool = False, say: Say = lambda _: None
) -> None:
    """Register each release that is not yet, and assign its stage: all of it or nothing.

    `push` as for `promote`; the tags go in one piece. Raises `ReleaseError` if what is released
    could not be fetched, and `NotDelivered`.
    """
    for each in promotions:
        (kept.push if push else kept.check_kept)(root, each.release.commit, each.release.name)
    made: list[str] = []
    try:
        for each in promotions:
            new = each.release
            if not new.registered:
                made.append(tags.register(root, new.name, new.version, new.commit))
            assigned = (new.name, each.stage, new.commit, each.title, each.record)
            made.append(tags.assign(root, *assigned))
        if push:
            known = [f"{each.release.name}@{each.release.version}" for each in promotions]
            git.push_tags(root, list(dict.fromkeys([*known, *made])))
    except BaseException:
        git.delete_tags(root, made)
        raise
    if any(kept.is_local(root, each.release.commit, each.release.name) for each in promotions):
        say(kept.LOCAL)


def _push(root: Path, release: Release, names: list[str]) -> None:
    kept.push(root, release.commit, release.name)
    git.push_tags(root, names)


def _holder(root: Path, name: str, stage: str) -> Release:
    release = champion(root, name, stage)
    assert release is not None, f"{name} has just been put into {stage}"
    return release
