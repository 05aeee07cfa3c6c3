"""Whether git answers, which packages name their commit by, and releases and retraining can tag."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from finery.doctor.finding import Finding, note, ok, problem
from finery.git import GitError, answer, head, root

WITHOUT = "no retraining, no releases"


def git() -> Iterator[Finding]:
    """A repository that git reads, and a name to commit under."""
    here = Path()
    try:
        top = root(here)
        missing = [key for key in ("user.name", "user.email") if top and not _config(here, key)]
        commit = (head(here) or "no commit yet")[:8] if top else ""
    except GitError as error:
        what, _, advice = str(error).removeprefix("git: ").rpartition("; ")
        yield problem("git", f"{what}: no packages, {WITHOUT}", advice)
        return
    if top is None:
        advice = "git init" if shutil.which("git") else "install git, and git init"
        yield note("git", f"no repository here: {WITHOUT}", advice)
    elif missing:
        advice = "; ".join(f'git config --global {key} "..."' for key in missing)
        yield note("git", f"{' and '.join(missing)} not set: {WITHOUT}", advice)
    else:
        yield ok("git", f"{top} at {commit}")


def _config(here: Path, key: str) -> str | None:
    return answer(here, "config", key)
