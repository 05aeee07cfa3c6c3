"""Is a package still what was packaged?

`finery verify DIR` prints, when all is well, one line and exits 0:
    DIR: 9 files match MANIFEST.json (commit 1a2b3c4d)
otherwise a line for each problem and a last one, on stderr, and exits 1:
    DIR: config.json: changed
    DIR: 1 wrong; fetch or package it again
A folder without a readable manifest is a `PackageError`: one line, exit status 2.

The rule: what the manifest lists must be there with its size and SHA-256, and nothing else.
- A file may be a symbolic link to a file of the package, or into a store that names its files by
  their hashes: DVC's cache, or `blobs` of the Hugging Face hub's cache, where the package is one
  of `snapshots`. It is its content that counts. Any other link is refused, whatever it leads to.
- What a download from the hub adds is no part of the package and read by no loader, so it may be
  there: `.gitattributes`, and the records of the client in `.cache/huggingface`.

- What the bill of materials, the attestation and the card say is what the manifest says.

A manifest guards against damage and slips. Who can change a file can change the manifest with it:
against that there are signatures (`finery sign`).
"""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from finery.packaging.claims import disagreements
from finery.packaging.manifest import MANIFEST, Entry, entry, read_manifest

IN_DVC_CACHE = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")
OF_THE_HUB = ".cache/huggingface"
ADDED = (
    ".gitattributes",
    f"{OF_THE_HUB}/.gitignore",
    f"{OF_THE_HUB}/CACHEDIR.TAG",
    f"{OF_THE_HUB}/trees/*.json",
    *(f"{OF_THE_HUB}/*.{kind}" for kind in ("lock", "metadata", "incomplete")),
)
"""What the hub's client leaves in a folder; `*` matches folders too."""


def verify(package: Path) -> list[str]:
    """What differs from MANIFEST.json, a line a file: changed, missing, added, leading astray;
    and if nothing does, which files claim what it does not.

    Reads every file once, a piece at a time. Raises `PackageError` if the manifest is missing or
    malformed.
    """
    manifest = read_manifest(package)
    listed = {listing.path: listing for listing in manifest.files}
    problems = {path: _compare(package, listing) for path, listing in listed.items()}
    for path in set(_paths(package)) - listed.keys():
        problems[path] = _unlisted(package, path)
    if not any(problems.values()):
        problems |= disagreements(package, manifest)
    return [f"{path}: {problem}" for path, problem in sorted(problems.items()) if problem]


def _compare(package: Path, listing: Entry) -> str | None:
    file = package / listing.path
    if not os.path.lexists(file):
        return "missing"
    if problem := _no_file(package, listing.path):
        return problem
    if (size := file.stat().st_size) != listing.size:
        return f"changed: {size} bytes, not {listing.size}"
    try:
        return None if entry(package, listing.path).sha256 == listing.sha256 else "changed"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _unlisted(package: Path, path: str) -> str | None:
    if path == MANIFEST or any(fnmatchcase(path, pattern) for pattern in ADDED):
        return _no_file(package, path)
    return _astray(package, path) or f"not in {MANIFEST}"


def _no_file(package: Path, path: str) -> str | None:
    if problem := _astray(package, path):
        return problem
    file = package / path
    if file.is_symlink() and not file.exists():
        return "a symbolic link to nothing"
    return None if file.is_file() else "not a plain file"


def _astray(package: Path, path: str) -> str | None:
    """Whether a path leads out of the package, but for where DVC and the hub keep files."""
    home, target = Path(os.path.realpath(package)), Path(os.path.realpath(package / path))
    if target.is_relative_to(home) or IN_DVC_CACHE.search(target.as_posix()):
        return None
    blobs = [above.parent / "blobs" for above in home.parents if above.name == "snapshots"]
    return None if target.parent in blobs else "a symbolic link that leads outside the package"


def _paths(package: Path) -> Iterator[str]:
    """Every file, empty folder and linked folder; the last are named and not entered."""
    unread: list[str] = []
    for folder, folders, files in os.walk(package, onerror=lambda e: unread.append(e.filename)):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        empty = [] if folders or files or folder == os.fspath(package) else [""]
        for name in (*files, *links, *empty):
            yield (Path(folder) / name).relative_to(package).as_posix()
    yield from (Path(folder).relative_to(package).as_posix() for folder in unread)
