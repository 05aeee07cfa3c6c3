"""The branch to retrain, and what others have pushed to it."""

import os
import subprocess
from pathlib import Path

from finery.errors import UserError
from finery.upstream.errors import MergeConflict, UpstreamError


def branch_of(root: Path, name: str | None = None) -> str:
    """The branch called `name`, or else the current one. Raises `UserError` if there is none."""
    prefix = _git(root, "rev-parse", "--show-prefix")
    if prefix.returncode:
        raise UserError(f"{root.absolute()}: not a git repository; retraining commits its results")
    if prefix.stdout.strip():
        raise UserError(
            f"{root.absolute()}: not the root of its git repository; retrain from there"
        )
    wanted = name or _git(root, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
    if not wanted:
        raise UserError("git: no branch is checked out here; name the one to retrain (--branch)")
    if _git(root, "rev-parse", "--quiet", "--verify", f"refs/heads/{wanted}").returncode:
        raise UserError(f"git: no branch {wanted} with a commit; commit the project first")
    return wanted


def check_name(name: str | None) -> None:
    """Raises `UserError` for what cannot be the name of a branch."""
    if name is not None and _git(Path(), "check-ref-format", f"refs/heads/{name}").returncode:
        raise UserError(f"git: {name!r} cannot be the name of a branch")


def start_of(root: Path, branch: str, *results: str) -> str:
    """The commit to go on from: `branch`, or the last of the branches with results ahead of it."""
    start = branch
    for name in results:
        ahead = _git(root, "merge-base", "--is-ancestor", start, f"refs/heads/{name}")
        start = name if ahead.returncode == 0 else start
    return _git(root, "rev-parse", "--verify", f"refs/heads/{start}^{{commit}}").stdout.strip()


def fetched(root: Path, branch: str) -> str | None:
    """Fetch what `branch` tracks; the commit it is at, or None if it tracks nothing.

    Raises `UpstreamError` with git's own words.
    """
    remote = _git(root, "config", f"branch.{branch}.remote").stdout.strip()
    if not remote:
        return None
    done = _git(root, "fetch", "--quiet", remote)
    if done.returncode:
        raise UpstreamError(f"git fetch {remote}: {_reason(done.stderr)}")
    tip = _git(root, "rev-parse", "--quiet", "--verify", f"{branch}@{{upstream}}^{{commit}}")
    return tip.stdout.strip() or None


def merge(checkout: Path, commit: str, name: str) -> None:
    """Bring a commit of the project's repository into the checkout; nothing if it is in already.

    Raises `MergeConflict`; the checkout is then as it was.
    """
    _git(checkout, "fetch", "--quiet", "origin", commit)
    done = _git(checkout, "merge", "--quiet", "-m", f"Merge {name}", commit)
    if done.returncode == 0:
        return
    files = _git(checkout, "diff", "--name-only", "--diff-filter=U").stdout.split("\n")
    _git(checkout, "merge", "--abort")
    what = ", ".join(filter(None, files)) or _reason(done.stderr)
    raise MergeConflict(f"{name} does not merge by itself: {what}; merge it by hand")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", "GIT_EDITOR": "true"}
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | quiet, capture_output=True, text=True
    )


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("fatal: ", "error: ", "ERROR: "))]
    return (said or lines or ["failed without a word"])[0]
