"""The branch to retrain, and what others have pushed to it."""

from pathlib import Path

from finery.errors import UserError
from finery.git import GitError, answer, check_root, git, reason, run
from finery.upstream.errors import MergeConflict, UpstreamError

PURPOSE = "retraining commits its results"


def branch_of(root: Path, name: str | None = None) -> str:
    """The branch called `name`, or else the current one.

    Raises `UserError` if there is none, `GitError` where the project is not the root of a git
    repository, or git refuses it.
    """
    check_root(root, PURPOSE)
    wanted = name or answer(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    if not wanted:
        raise UserError("git: no branch is checked out here; name the one to retrain (--branch)")
    if not _commit(root, f"refs/heads/{wanted}"):
        raise UserError(f"git: no branch {wanted} with a commit; commit the project first")
    return wanted


def check_name(name: str | None) -> None:
    """Raises `UserError` for what cannot be the name of a branch."""
    if name is not None and run(Path(), "check-ref-format", f"refs/heads/{name}").returncode:
        raise UserError(f"git: {name!r} cannot be the name of a branch")


def start_of(root: Path, branch: str, *results: str) -> str:
    """The commit to go on from: `branch`, or the last of the branches with results ahead of it."""
    start = git(root, "rev-parse", "--verify", f"refs/heads/{branch}^{{commit}}").strip()
    for name in results:
        result = _commit(root, f"refs/heads/{name}")
        if result and answer(root, "merge-base", "--is-ancestor", start, result) is not None:
            start = result
    return start


def fetched(root: Path, branch: str) -> str | None:
    """Fetch what `branch` tracks; the commit it is at, or None if it tracks nothing.

    Raises `UpstreamError` with git's own words, also if the remote has no such branch any more.
    """
    check_root(root, PURPOSE)  # git would only keep silent about the settings of one it refuses
    remote = answer(root, "config", f"branch.{branch}.remote")
    tracked = answer(root, "config", f"branch.{branch}.merge")
    if not remote or not tracked:
        return None
    done = run(root, "fetch", "--quiet", remote, tracked)  # a single-branch clone fetches no other
    if done.returncode:
        raise UpstreamError(f"git fetch {remote}: {reason(done.stderr)}")
    return git(root, "rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()


def merge(checkout: Path, commit: str, name: str) -> None:
    """Bring a commit of the project's repository into the checkout; nothing if it is in already.

    Raises `MergeConflict`, or `GitError` if git cannot merge; the checkout is then as it was.
    """
    git(checkout, "fetch", "--quiet", "origin", commit)
    done = run(checkout, "merge", "--quiet", "-m", f"Merge {name}", commit)
    if done.returncode == 0:
        return
    files = git(checkout, "diff", "--name-only", "--diff-filter=U").split("\n")
    run(checkout, "merge", "--abort")
    if not any(files):
        raise GitError(f"git merge: {reason(done.stderr)}; {name} was not merged")
    what = ", ".join(filter(None, files))
    raise MergeConflict(f"{name} does not merge by itself: {what}; merge it by hand")


def _commit(root: Path, ref: str) -> str | None:
    return answer(root, "rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}")
