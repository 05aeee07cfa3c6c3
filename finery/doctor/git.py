"""Whether releases and retraining, which commit and tag, can."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from finery.doctor.finding import Finding, note, ok

SECONDS = 5


def git() -> Iterator[Finding]:
    """A repository, and a name to commit under."""
    try:
        inside = _git("rev-parse", "--show-toplevel")
    except FileNotFoundError:
        yield note("git", "not installed: no retraining, no releases", "install git")
        return
    if inside.returncode:
        yield _no_repository(inside.stderr)
    elif missing := [key for key in ("user.name", "user.email") if _git("config", key).returncode]:
        advice = "; ".join(f'git config --global {key} "..."' for key in missing)
        yield note("git", f"{' and '.join(missing)} not set: no retraining, no releases", advice)
    else:
        head = _git("rev-parse", "--short", "HEAD").stdout.strip() or "no commit yet"
        yield ok("git", f"{inside.stdout.strip()} at {head}")


def _no_repository(said: str) -> Finding:
    if "dubious ownership" in said:
        advice = f"git config --global --add safe.directory {Path.cwd()}"
        return note("git", "refuses this folder: it belongs to another user", advice)
    return note("git", "no repository here: no retraining, no releases", "git init")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
