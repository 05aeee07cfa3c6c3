"""What releases ask of git, in its own command line: identity, hooks and signing are as you set."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finery.git import GitError, answer, check_root, git, reason, run
from finery.git import head as head_of
from finery.releases.errors import NotDelivered, ReleaseError

PURPOSE = "releases are tags of all of it"
SECONDS = 20.0
"""For a remote to say which tags it has."""


def head(root: Path) -> str:
    """The SHA of the current commit.

    Raises `GitError` where the project is not the root of a git repository, or git refuses it,
    and `ReleaseError` before a first commit.
    """
    check_root(root, PURPOSE)
    commit = head_of(root)
    if commit is None:
        raise ReleaseError(f"{root.resolve()}: no commit yet; commit the project and dvc.lock")
    return commit


def check_tagger(root: Path) -> None:
    """Raises `ReleaseError` if git does not know who makes the tags."""
    if run(root, "var", "GIT_COMMITTER_IDENT").returncode:
        raise ReleaseError(
            "git: no user is set, and a tag says who made it; run"
            ' `git config user.name "..."` and `git config user.email ...`'
        )


def remote(root: Path) -> str | None:
    """The remote of the current branch, or else origin, or the only one; None if there is none."""
    names = git(root, "remote").split()
    branch = answer(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    of_branch = answer(root, "config", f"branch.{branch}.remote") if branch else None
    for name in (of_branch, "origin", *(names if len(names) == 1 else ())):
        if name in names:
            return name
    return None


def read(root: Path, commit: str, path: str) -> str | None:
    """A file of a commit, by its path from `root`; None if it has no such file."""
    if not git(root, "ls-tree", "--name-only", "-z", commit, "--", path):
        return None
    return git(root, "cat-file", "blob", f"{commit}:./{path}")


def read_json(root: Path, commit: str, path: str) -> dict[str, Any] | None:
    """A JSON object of a commit; None if it has no such file, or something else in it.

    NaN and Infinity, which are no JSON, are read as null.
    """
    try:
        value = json.loads(read(root, commit, path) or "", parse_constant=lambda _: None)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def has_tag(root: Path, name: str) -> bool:
    return answer(root, "rev-parse", "--quiet", "--verify", f"refs/tags/{name}") is not None


def tag(root: Path, name: str, commit: str, message: str, time: int) -> None:
    """Make an annotated tag of a given time (Unix seconds)."""
    arguments = ("tag", "--annotate", "--cleanup=verbatim", "--file=-", name, commit)
    done = run(root, *arguments, stdin=message, environment={"GIT_COMMITTER_DATE": f"{time} +0000"})
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or "failed"
        raise NotDelivered(f"git tag {name}: {said}; nothing was released")


def delete_tags(root: Path, names: Sequence[str]) -> None:
    """Take tags back. Raises `GitError`: then they are still there."""
    if names:
        git(root, "tag", "--delete", *names)


def fetch_tags(root: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Bring tags that git's remote has and this clone lacks; those brought, nothing else.

    Raises `NotDelivered` if the remote does not answer.
    """
    if not (source := remote(root)):
        return []
    try:
        listed = _delivered(root, "ls-remote", "--tags", "--refs", source)
        there = [line.partition("\trefs/tags/")[2] for line in listed.splitlines()]
        here = set(git(root, "tag").split("\n"))
        lacking = [name for name in there if name not in here and wanted(name)]
        if lacking:
            refs = [f"refs/tags/{name}:refs/tags/{name}" for name in lacking]
            _delivered(root, "fetch", "--quiet", "--no-tags", source, *refs)
    except GitError as error:
        raise NotDelivered(str(error)) from None
    return lacking


def push_tags(root: Path, names: Sequence[str]) -> None:
    """All of the tags or none. Raises `NotDelivered` with git's own last word."""
    to = remote(root)
    if to is None:
        raise ReleaseError(NO_REMOTE)
    done = run(root, "push", "--atomic", to, *(f"refs/tags/{name}" for name in names))
    if done.returncode != 0:
        said = done.stderr.splitlines()
        why = [line for sign in ("[rejected]", "fatal: ") for line in said if sign in line]
        raise NotDelivered(
            f"git push {to}: {' '.join((why or said or ['failed'])[0].split())}; nothing was"
            f" released: see to it, `git fetch --tags {to}` and try again"
        )


NO_REMOTE = "git: no remote to push tags to; add one with `git remote add origin URL`"


def _delivered(root: Path, verb: str, *arguments: str) -> str:
    seconds = SECONDS if verb == "ls-remote" else None
    done = run(root, verb, *arguments, seconds=seconds)
    if done.returncode:
        raise GitError(f"git {verb} {source_of(arguments)}: {reason(done.stderr)}")
    return done.stdout


def source_of(arguments: Sequence[str]) -> str:
    return next(word for word in arguments if not word.startswith("-"))
