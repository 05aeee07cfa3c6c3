"""Is a package still what was packaged?

`finery verify DIR` prints, when all is well, one line and exits 0:
    DIR: 9 files match MANIFEST.json (commit 1a2b3c4d)
otherwise a line for each problem and a last one, on stderr, and exits 1:
    DIR: config.json: changed
    DIR: 1 problem; do not use it, fetch or package it again
A folder without a readable manifest is a `PackageError`: one line, exit status 2.

A manifest guards against damage and slips. It is not signed: who can change a file can change
the manifest with it.
"""

import os
from pathlib import Path

from finery.packaging.manifest import MANIFEST, Entry, entry, read_manifest


def verify(package: Path) -> list[str]:
    """What differs from MANIFEST.json, a line a file: changed, missing, added, leading outside.

    Reads every file once, a piece at a time. Raises `PackageError` if the manifest is missing or
    malformed.
    """
    listed = {listing.path: listing for listing in read_manifest(package).files}
    problems = {path: _compare(package, listing) for path, listing in listed.items()}
    for path in _paths(package) - listed.keys():
        added = None if path == MANIFEST else f"not in {MANIFEST}"
        problems[path] = _outside(package, path) or added
    return [f"{path}: {problem}" for path, problem in sorted(problems.items()) if problem]


def _compare(package: Path, listing: Entry) -> str | None:
    file = package / listing.path
    if not os.path.lexists(file):
        return "missing"
    if problem := _outside(package, listing.path):
        return problem
    if not file.is_file():
        return "not a plain file"
    if (size := file.stat().st_size) != listing.size:
        return f"changed: {size} bytes, not {listing.size}"
    try:
        return None if entry(package, listing.path).sha256 == listing.sha256 else "changed"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _outside(package: Path, path: str) -> str | None:
    target = os.path.realpath(package / path)
    if Path(target).is_relative_to(os.path.realpath(package)):
        return None
    return "a symbolic link that leads outside the package"


def _paths(package: Path) -> set[str]:
    """Everything in the folder but plain folders; linked folders are named and not entered."""
    found = set()
    for folder, folders, files in os.walk(package):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found |= {
            (Path(folder) / name).relative_to(package).as_posix() for name in [*files, *links]
        }
    return found
