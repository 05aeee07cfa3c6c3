"""What is to be released: the package of the current commit, or a version registered before."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from finery.git import changed
from finery.releases import data, git
from finery.releases.errors import ReleaseError
from finery.releases.inputs import SETTINGS, check_inputs
from finery.releases.kept import check_as_made, check_kept
from finery.releases.registry import Release, semver

GATE = "reports/gate/report.json"
UP_TO_DATE = "Stage '{stage}' didn't change"
WOULD_RUN = re.compile(r"^Running stage '([^']+)':", re.MULTILINE)


def candidate(root: Path, name: str, version: str | None, found: Sequence[Release]) -> Release:
    """The release to promote; one that is not among `found` is still to be registered.

    `version` picks a registered one, or names the new one. Raises `ReleaseError` if the current
    commit does not say, all by itself, how its package was made, or the gate was not passed.
    """
    picked = next((r for r in found if r.version == version), None)
    release = picked or _of_head(root, name, version, found)
    _check_gate(root, release.commit)
    return release


def _of_head(root: Path, name: str, version: str | None, found: Sequence[Release]) -> Release:
    commit = git.head(root)
    path = data.package_path(root, commit, name)
    package, made = data.package_hash(root, commit, path), data.maker(root, commit, path)
    if package is None or made is None:
        raise ReleaseError(
            f"dvc.lock: no {path} at commit {commit[:8]}; run `dvc repro` and commit"
        )
    check_committed(root, commit)
    check_inputs(root, path)
    check_kept(root, commit, name, sent=False)
    check_as_made(root, path)
    _check_up_to_date(root, name, made[0])
    for release in found:
        if data.is_locked(root, release.commit, package):
            if version:
                raise ReleaseError(f"{name}: this very package is {release.version} already")
            return release
    return Release(name, _free(root, name, version or _next(found)), commit, registered="")


def _next(found: Sequence[Release]) -> str:
    """A retrained model answers differently and is loaded alike: a minor version."""
    versions = [semver(release.version) for release in found]
    return max(versions).bump(bump_minor=True).version if versions else "v0.1.0"


def _free(root: Path, name: str, version: str) -> str:
    """A tag of that name that is no release was made by hand, perhaps without a message."""
    tag = f"{name}@{version}"
    if git.has_tag(root, tag):
        raise ReleaseError(
            f"{tag}: such a tag is there, and is no release; `git tag -d {tag}`, or choose another"
            " with --version"
        )
    return version


def check_committed(root: Path, commit: str) -> None:
    """Raises `ReleaseError` if a file of the pipeline is not as in the current commit."""
    stages = data.locked_stages(root, commit).values()
    paths = {each["path"] for s in stages for each in (*s.get("deps", ()), *s.get("outs", ()))}
    paths = {path for path in paths if not path.startswith(("/", "../"))}
    if files := changed(root, *SETTINGS, *sorted(paths)):
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        raise ReleaseError(
            f"{', '.join(files[:3])}{more}: not as committed; run `dvc repro` and commit, or undo"
        )


def _check_up_to_date(root: Path, name: str, stage: str) -> None:
    """A commit whose settings or code are newer than its package would tell a false story."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--dry", "--allow-missing",
         stage],
        cwd=root,
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["failed"])[-1].removeprefix("ERROR: ")
        raise ReleaseError(
            f"dvc: {said}; the package is older than what was committed, or an input of it is not"
            " here: run `dvc pull` or `dvc repro`, and commit"
        )
    said = done.stdout + done.stderr
    if stale := WOULD_RUN.findall(said):
        raise ReleaseError(
            f"{name}: {', '.join(stale)} would run again, the package is older than what was"
            " committed; run `dvc repro` and commit"
        )
    if UP_TO_DATE.format(stage=stage) not in said:
        raise ReleaseError(f"dvc repro --dry: says nothing of {stage}; see `dvc status`")


def _check_gate(root: Path, commit: str) -> None:
    report = git.read_json(root, commit, GATE)
    if report is None or report.get("passed") is not True:
        raise ReleaseError(
            f"{GATE}: {'missing' if report is None else 'the gate was not passed'} at commit"
            f" {commit[:8]}; only what passed the gate is released"
        )
