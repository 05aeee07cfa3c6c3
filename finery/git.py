"""git, asked in its own command line: that it fails is never taken for "there is nothing".

A repository that git will not read (it belongs to another user, it is damaged, git is not
installed) is a `GitError` with git's own reason and what to do. `None` means that there is none.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from finery.errors import UserError

OF_A_HOOK = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"}
"""What a git hook sets to point to its own repository."""
QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true", "LC_ALL": "C"}
NO = 1
"""The exit status by which git says no, unlike that of a failure."""
NO_COMMIT = "does not have any commits yet"
LINK = "120000 "
"""The mode of a symbolic link in git's index."""


class GitError(UserError):
    """git failed: its own reason, and what to do."""


def root(folder: Path) -> Path | None:
    """The top of the working tree that `folder` is in; None if it is in none."""
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel").rstrip("\n"))
    except GitError:
        if any((above / ".git").exists() for above in _as_far_as_git_looks(folder)):
            raise
        return None


def head(folder: Path) -> str | None:
    """The SHA of the current commit; None before a first one, and outside git."""
    if root(folder) is None:
        return None
    try:  # unlike `git rev-parse`, `git log` tells no commit from one that it cannot read
        return git(folder, "log", "-1", "--no-show-signature", "--format=%H").strip()
    except GitError as error:
        if NO_COMMIT in str(error):
            return None
        raise


def changed(folder: Path, *paths: str, but: Sequence[str] = ()) -> list[str]:
    """Files under `paths` that differ from the last commit, by their paths from `folder`, sorted.

    `paths` and those in `but`, which are left out, are taken as they are, whatever is in a name.
    """
    specs = [f":(literal){path}" for path in paths] + [f":(exclude,literal){path}" for path in but]
    return sorted(_names(folder, "diff", "--name-only", "--relative", "-z", "HEAD", "--", *specs))


def untracked(folder: Path, paths: Iterable[str]) -> list[str]:
    """What under `paths` no commit can hold as things stand: ignored, or not added, or elsewhere.

    A folder without a tracked file is named itself, with a slash. What `.dvcignore` leaves out
    is left out, as DVC does not see it either. Sorted.
    """
    top = root(folder)
    if top is None:
        return []
    inside, elsewhere = [], set()
    for path in paths:
        real = os.path.realpath(folder / path)  # git takes no path that leads through a link
        if _is_in(top, real):
            inside.append(os.path.relpath(real, os.path.realpath(folder)))
        else:
            elsewhere.add(path)
    if not inside:
        return sorted(elsewhere)
    links = {name for name in _links(folder, inside) if not _is_in(top, folder / name)}
    return sorted({*elsewhere, *links, *_others(folder, inside)})


def check_root(folder: Path, purpose: str) -> None:
    """Raises `GitError` unless `folder` is the root of a git repository, which `purpose` takes."""
    top = root(folder)
    if top is None:
        raise GitError(f"{folder.resolve()}: not a git repository; {purpose}: git init, and commit")
    if not top.samefile(folder):
        below = folder.resolve().relative_to(top.resolve())
        advice = f"go to {top}"
        if (folder / "dvc.yaml").exists():
            advice = f"give the project one of its own (git subtree split --prefix={below})"
        raise GitError(
            f"{folder.resolve()}: not the root of its git repository; {purpose}: {advice}"
        )


def git(folder: Path, *arguments: str) -> str:
    """What git prints, run in `folder`. Raises `GitError`."""
    return _printed(folder, run(folder, *arguments))


def answer(folder: Path, *arguments: str) -> str | None:
    """The same for a question that can be answered with no, as by exit status 1; None is a no."""
    done = run(folder, *arguments)
    return None if done.returncode == NO else _printed(folder, done).strip()


def run(
    folder: Path,
    *arguments: str,
    stdin: str = "",
    environment: Mapping[str, str] = {},
    apart: bool = False,
    seconds: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run git in `folder`, for who takes care of its exit status.

    `apart` is in a session of its own, so that Ctrl-C does not stop it half-way. Raises `GitError`
    if git is not installed, or took longer than `seconds`.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in OF_A_HOOK}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=inherited | QUIET | environment,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",  # names that are no UTF-8 go into JSON files
            start_new_session=apart,
            timeout=seconds,
        )
    except FileNotFoundError as error:
        if error.filename != "git":
            raise
        raise GitError("git: not installed, and this is a git repository; install it") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git {arguments[0]}: no answer within {seconds:.0f} s") from None


def reason(stderr: str) -> str:
    """The line in which git says what is wrong, and what it advises against a refusal."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("fatal: ", "error: ", "ERROR: ", "!"))]
    first = (said or lines or ["failed without a word"])[0].removeprefix("fatal: ")
    advice = [line for line in lines if line.startswith("git config --global --add safe.directory")]
    return f"{first}; if you trust it: {advice[0]}" if advice else first


def _printed(folder: Path, done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == 0:
        return done.stdout
    said = reason(done.stderr)
    if "if you trust it" not in said:
        said += f"; `git -C {folder.resolve()} fsck` says what is damaged"
    raise GitError(f"git: {said}")


def _others(folder: Path, paths: Sequence[str]) -> Iterator[str]:
    shown = ("--others", "--directory", "--no-empty-directory")
    ignoring = "--exclude-per-directory=.dvcignore"
    return _names(folder, "--literal-pathspecs", "ls-files", "-z", *shown, ignoring, "--", *paths)


def _links(folder: Path, paths: Sequence[str]) -> Iterator[str]:
    """The symbolic links among the tracked files."""
    listed = _names(folder, "--literal-pathspecs", "ls-files", "-z", "--stage", "--", *paths)
    return (entry.split("\t", 1)[1] for entry in listed if entry.startswith(LINK))


def _names(folder: Path, *arguments: str) -> Iterator[str]:
    """The names in a list that ends each with a NUL."""
    return filter(None, git(folder, *arguments).split("\0"))


def _is_in(top: Path, path: Path | str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(top))


def _as_far_as_git_looks(folder: Path) -> Iterator[Path]:
    """The folder and those above it, up to where another file system begins."""
    device = folder.stat().st_dev
    for above in (folder.resolve(), *folder.resolve().parents):
        if above.stat().st_dev != device:
            return
        yield above
