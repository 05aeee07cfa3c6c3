"""A result on its way home: committed in the checkout, taken into the project's repository, pushed.

Each step is one that git takes whole or not at all. A working tree with changes, or one in which
DVC runs, is left alone: the commit is parked on a branch of its own then, and the next run goes
on from there.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from finery.git import answer, git, reason, run
from finery.retraining.errors import NotCommitted, NotPushed


def commit(checkout: Path, message: str) -> str:
    """Commit all that the run changed, if anything; the SHA of the checkout's commit."""
    _done(_git(checkout, "add", "--all"), "git add")
    if answer(checkout, "diff", "--cached", "--quiet") is None:
        _done(_git(checkout, "commit", "--quiet", "-m", message), "git commit")
    return git(checkout, "rev-parse", "--verify", "HEAD").strip()


def land(root: Path, checkout: Path, sha: str, branch: str, parked: str) -> str:
    """Take a commit into the project's repository; the branch it is on then.

    That is `branch` if it only has to move forward to it, and nobody's work is in the way; else
    `parked`, which is moved there from wherever it was.
    """
    fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(checkout), sha)
    _done(_git(root, *fetch), "git fetch")
    if _forward(root, branch, sha):
        return branch
    _done(_git(root, "update-ref", f"refs/heads/{parked}", sha), "git update-ref")
    return parked


def push(root: Path, branch: str, landed: str, parked: str, tags: Sequence[str]) -> str:
    """Push the branch that a result landed on, and tags; the branch of the remote it is on then.

    That is `parked` if the remote refuses: it has new commits, or its branch is protected.
    Raises `NotPushed`.
    """
    remote = _remote(root, branch)
    tracked = answer(root, "config", f"branch.{branch}.merge")
    wanted = tracked or f"refs/heads/{branch}"
    refused = landed != branch or not (
        _is_there(root, branch) or _push(root, remote, f"refs/heads/{branch}:{wanted}")
    )
    if refused:
        forced = f"+refs/heads/{landed}:refs/heads/{parked}"
        _done(_git(root, "push", "--quiet", remote, forced), f"git push {remote}", NotPushed)
    if tags:
        names = [f"refs/tags/{tag}" for tag in tags]
        _done(_git(root, "push", "--quiet", remote, *names), f"git push {remote}", NotPushed)
    return parked if refused else wanted.removeprefix("refs/heads/")


def _is_there(root: Path, branch: str) -> bool:
    """Whether the branch that `branch` tracks has all of it, as last fetched."""
    upstream = f"{branch}@{{upstream}}"
    if run(root, "rev-parse", "--verify", upstream).returncode:  # it tracks nothing
        return False
    return answer(root, "merge-base", "--is-ancestor", branch, upstream) is not None


def _push(root: Path, remote: str, ref: str) -> bool:
    """Push; False if the remote refused. Raises `NotPushed` if it could not even be asked."""
    done = _git(root, "push", "--quiet", remote, ref)
    if done.returncode and "rejected]" in done.stderr:
        return False
    _done(done, f"git push {remote}", NotPushed)
    return True


def _remote(root: Path, branch: str) -> str:
    names = git(root, "remote").split()
    tracked = answer(root, "config", f"branch.{branch}.remote")
    for name in (tracked, "origin", *names[: len(names) == 1]):
        if name in names:
            return name
    raise NotPushed("git: no remote to push to; add one with `git remote add origin URL`")


def _forward(root: Path, branch: str, sha: str) -> bool:
    """Move a branch forward to a commit, and the working tree it is checked out in with it."""
    old = answer(root, "rev-parse", "--quiet", "--verify", f"refs/heads/{branch}")
    if old == sha:
        return True
    if old and answer(root, "merge-base", "--is-ancestor", old, sha) is None:
        return False
    tree = _checked_out(root, branch)
    if tree is None:
        return _git(root, "update-ref", f"refs/heads/{branch}", sha, old or "").returncode == 0
    if not _at_rest(tree):
        return False
    return _git(tree, "merge", "--quiet", "--ff-only", sha).returncode == 0


def _checked_out(root: Path, branch: str) -> Path | None:
    """The working tree of this repository that is on a branch."""
    listed = git(root, "worktree", "list", "--porcelain")
    for entry in listed.split("\n\n"):
        lines = entry.splitlines()
        if f"branch refs/heads/{branch}" in lines:
            return Path(lines[0].removeprefix("worktree "))
    return None


def _at_rest(tree: Path) -> bool:
    """No uncommitted change of a tracked file, and DVC does not work on its outputs."""
    if git(tree, "status", "--porcelain", "--untracked-files=no").strip():
        return False
    try:
        return (tree / ".dvc/tmp/rwlock").read_text().strip() in ("", "{}")
    except FileNotFoundError:
        return True


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A kill of this run does not stop it half-way in a user's tree."""
    return run(folder, *arguments, apart=True)


def _done(
    done: subprocess.CompletedProcess[str],
    what: str,
    error: type[NotCommitted] | type[NotPushed] = NotCommitted,
) -> None:
    if done.returncode:
        raise error(f"{what}: {reason(done.stderr)}")
