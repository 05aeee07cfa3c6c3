"""Which release a name stood for when it was first looked at: prod moves on, a training must not.

`release:merged@prod` is resolved once, to a commit, and written to models/revisions.json, as the
branches of hubs are. That file is in git, so every clone starts from the same model.
"""

from collections.abc import Callable
from pathlib import Path

from finery.hubs.revisions import pin, pinned
from finery.releases import git
from finery.releases.errors import ReleaseError
from finery.releases.registry import Release, find, registered
from finery.releases.tags import bring_or_say, events


def resolved(root: Path, source: str, revisions: Path, say: Callable[[str], None]) -> Release:
    """The release that `source` (release:NAME@STAGE or @VERSION) stands for, pinned in `revisions`.

    Raises `ReleaseError` if there is none, or no longer.
    """
    git.head(root)
    name, _, wanted = source.partition(":")[2].partition("@")
    commit = pinned(source, revisions)
    found = registered(events(root))
    if commit is None or not _at(found, name, commit):
        bring_or_say(root, name, say)
        found = registered(events(root))
    if commit is None:
        release = find(found, name, wanted)
        pin(source, release.commit, revisions)
        return release
    if release := _at(found, name, commit):
        return release
    raise ReleaseError(
        f"{source}: {revisions} has it at commit {commit[:8]}, and no release of {name} is there;"
        f" fetch its tags, or remove that line to take the one that {wanted} is now"
    )


def _at(found: list[Release], name: str, commit: str) -> Release | None:
    return next((each for each in found if (each.name, each.commit) == (name, commit)), None)
