"""A clean checkout of a project at one commit, apart from anybody's working tree."""

import shutil
import subprocess
from pathlib import Path

from finery.errors import UserError
from finery.git import answer, reason, run

MINE = "finery.checkout"
"""The mark in .git/config of a folder that was made here, and whose changes may be thrown away."""
FETCH = ("--quiet", "--force", "--prune", "--update-shallow")
FETCHED = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
AUTHOR = ("user.name", "user.email", "user.signingkey")
OWN = ("--git-dir=.git", "--work-tree=.")
"""The repository in a folder itself, never one around it."""


class CheckoutError(UserError):
    """No repository, no such commit, or a folder that cannot be made a checkout."""


def clean_checkout(repo: str, commit: str, folder: Path, cache: Path | None = None) -> Path:
    """Make `folder` a clone of `repo` (a path or URL) at `commit`, detached; returns it absolute.

    One that is there already is brought to the commit: tracked files are reset, untracked ones
    removed, also after a kill half-way. What git ignores stays: outputs, .finery with its
    checkpoints. DVC's cache is `cache`, if given; where `repo` is a path, its DVC remotes are
    carried along, with their credentials, and so is the author of commits.
    Raises `CheckoutError`.
    """
    source, folder = Path(repo), folder.absolute()
    repo = str(source.absolute()) if source.is_dir() else repo
    _prepare(folder)
    git(folder, "config", "remote.origin.url", repo)
    sha = _fetched(folder, repo, commit)
    git(folder, "checkout", "--quiet", "--force", "--detach", sha)
    git(folder, "clean", "--quiet", "-ffd")
    if source.is_dir():
        _carry_author(source, folder)
    _configure_dvc(source, folder, cache)
    return folder


def git(folder: Path, *arguments: str) -> str:
    """What git prints, run on the repository in `folder` itself, never on one around it.

    Raises `CheckoutError` with git's own last word.
    """
    done = _git(folder, *arguments)
    if done.returncode:
        verb = next(word for word in arguments if not word.startswith("-"))
        raise CheckoutError(f"git {verb} in {folder}: {reason(done.stderr)}")
    return done.stdout.strip()


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, *OWN, *arguments)


def _prepare(folder: Path) -> None:
    """An empty repository, or the one of last time without the locks a kill left in it."""
    made = (folder / ".git").is_dir()
    if not made and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckoutError(f"{folder}: not empty and no checkout; move it away")
    folder.mkdir(parents=True, exist_ok=True)
    mine = made and _git(folder, "config", MINE).returncode == 0
    begun = made and list(folder.iterdir()) == [folder / ".git"] and not _has_objects(folder)
    if made and not (mine or begun):
        raise CheckoutError(f"{folder}: somebody's own clone; its changes would be lost")
    for lock in (folder / ".git").rglob("*.lock"):
        lock.unlink()
    if mine and _git(folder, "fsck", "--connectivity-only").returncode:
        shutil.rmtree(folder / ".git")
    git(folder, "init", "--quiet")
    git(folder, "config", MINE, "true")


def _has_objects(folder: Path) -> bool:
    """Whether a repository was ever used, also if its branch cannot be read any more."""
    return any(each.is_file() for each in (folder / ".git/objects").rglob("*"))


def _fetched(folder: Path, repo: str, commit: str) -> str:
    """Fetch all branches and tags, then the commit itself if none of them has it; its SHA."""
    fetched = _git(folder, "fetch", *FETCH, "origin", *FETCHED)
    if fetched.returncode:
        raise CheckoutError(f"{repo}: cannot be cloned: {reason(fetched.stderr)}")
    for name in (f"refs/remotes/origin/{commit}", commit):
        found = _git(folder, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}")
        if found.returncode == 0:
            return found.stdout.strip()
    if _git(folder, "fetch", *FETCH, "origin", commit).returncode:
        raise CheckoutError(f"{repo}: no commit {commit}; push it first, or name another")
    return git(folder, "rev-parse", "FETCH_HEAD^{commit}")


def _carry_author(source: Path, folder: Path) -> None:
    for key in AUTHOR:
        if found := answer(source, "config", key):
            git(folder, "config", key, found)


def _configure_dvc(source: Path, folder: Path, cache: Path | None) -> None:
    """Write .dvc/config.local anew; relative paths of the source's settings stay what they mean."""
    from dvc.config import Config

    if not (folder / ".dvc").is_dir():
        raise CheckoutError(f"{folder}: no DVC project; is it in the root of its repository?")
    exclude = folder / ".git/info/exclude"  # it may hold credentials, which no commit may have
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("/.dvc/config.local\n")
    (folder / ".dvc/config.local").unlink(missing_ok=True)
    local = Config(str(folder / ".dvc"), validate=False)
    with local.edit("local", validate=False) as settings:
        if (source / ".dvc").is_dir():
            theirs = Config(str(source.absolute() / ".dvc"), validate=False)
            for level in ("repo", "local"):
                _merge_remotes(settings, theirs.load_one(level))
        if cache:
            settings["cache"]["dir"] = str(cache.absolute())


def _merge_remotes(settings: dict, theirs: dict) -> None:
    for name, remote in theirs["remote"].items():
        settings["remote"].setdefault(name, {}).update(remote)
    if default := theirs["core"].get("remote"):
        settings["core"]["remote"] = default
