"""What releases ask of git, in its own command line: identity, hooks and signing are as you set."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finery.releases.errors import NotDelivered, ReleaseError


def head(root: Path) -> str:
    """The SHA of the current commit. Raises `ReleaseError` outside git and before a first one."""
    if _run(root, "rev-parse", "--git-dir") is None:
        raise ReleaseError(f"{root.resolve()}: not a git repository; releases are git tags")
    commit = _run(root, "rev-parse", "--verify", "HEAD^{commit}")
    if commit is None:
        raise ReleaseError(f"{root.resolve()}: no commit yet; commit the project and dvc.lock")
    return commit.strip()


def check_tagger(root: Path) -> None:
    """Raises `ReleaseError` if git does not know who makes the tags."""
    if _run(root, "var", "GIT_COMMITTER_IDENT") is None:
        raise ReleaseError(
            "git: no user is set, and a tag says who made it; run"
            ' `git config user.name "..."` and `git config user.email ...`'
        )


def remote(root: Path) -> str:
    """The remote of the current branch, or the only one. Raises `ReleaseError` if there is none."""
    names = (_run(root, "remote") or "").split()
    branch = (_run(root, "symbolic-ref", "--short", "HEAD") or "").strip()
    of_branch = (_run(root, "config", f"branch.{branch}.remote") or "").strip()
    for name in (of_branch, "origin", *(names if len(names) == 1 else ())):
        if name in names:
            return name
    raise ReleaseError("git: no remote to push tags to; add one with `git remote add origin URL`")


def read(root: Path, commit: str, path: str) -> bytes | None:
    """A file of a commit, by its path from `root`; None if it has no such file."""
    done = subprocess.run(
        ["git", "cat-file", "blob", f"{commit}:./{path}"], cwd=root, capture_output=True
    )
    return done.stdout if done.returncode == 0 else None


def read_json(root: Path, commit: str, path: str) -> dict[str, Any] | None:
    """A JSON object of a commit; None if it has no such file, or something else in it."""
    try:
        value = json.loads(read(root, commit, path) or "")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def changed(root: Path, paths: Sequence[str]) -> list[str]:
    """Files under `paths` that git tracks and that differ from the last commit."""
    names = _run(root, "diff", "--name-only", "--relative", "-z", "HEAD", "--", *paths)
    return sorted(filter(None, (names or "").split("\0")))


def tag(root: Path, name: str, commit: str, message: str, time: int) -> None:
    """Make an annotated tag of a given time (Unix seconds)."""
    arguments = ("tag", "--annotate", "--cleanup=verbatim", "--file=-", name, commit)
    date = {"GIT_COMMITTER_DATE": f"{time} +0000"}
    done = _start(root, arguments, message, date)
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or "failed"
        raise NotDelivered(f"git tag {name}: {said}; nothing was released")


def delete_tags(root: Path, names: Sequence[str]) -> None:
    _run(root, "tag", "--delete", *names)


def push_tags(root: Path, names: Sequence[str]) -> None:
    """All of the tags or none. Raises `NotDelivered` with git's own last word."""
    to = remote(root)
    done = _start(root, ("push", "--atomic", to, *(f"refs/tags/{name}" for name in names)))
    if done.returncode != 0:
        said = done.stderr.splitlines()
        why = [line for sign in ("[rejected]", "fatal: ") for line in said if sign in line]
        raise NotDelivered(
            f"git push {to}: {' '.join((why or said or ['failed'])[0].split())}; nothing was"
            f" released: see to it, `git fetch --tags {to}` and try again"
        )


def _run(root: Path, *arguments: str) -> str | None:
    done = _start(root, arguments)
    return done.stdout if done.returncode == 0 else None


def _start(
    root: Path, arguments: Sequence[str], stdin: str = "", environment: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["git", *arguments],
        cwd=root,
        env=os.environ | quiet | environment,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
    )
