"""Which files of a folder changed since a stage last ran.

dvc.lock has only a hash of the folder. The listing that this hash was taken of is in DVC's cache
if a stage made the folder. Otherwise it is kept in .finery/trees as soon as the folder is seen
unchanged, or found in git: the hash proves that a commit had the same files.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dvc.fs import FileSystem, GitFileSystem
from dvc.output import Output
from dvc.scm import Git
from dvc_data.hashfile.build import build
from dvc_data.hashfile.tree import Tree

TREES = Path(".finery/trees")
KEPT = 50
Listing = dict[str, str]
"""The MD5 of each file by its path in the folder."""


def changes(dep: Output) -> list[tuple[str, str]]:
    """The files that changed in a folder and what became of each; none if that is not known."""
    before = _before(dep)
    if before is None or not dep.isdir():
        return []
    now = _listing(_tree(dep, dep.fs, dep.fs_path))
    return [
        (file, "is new" if file not in before else "changed" if file in now else "missing")
        for file in sorted(before.keys() | now.keys())
        if before.get(file) != now.get(file)
    ]


def remember(dep: Output) -> None:
    """Keep the listing of an unchanged folder, unless DVC's cache has it."""
    if _is_folder(dep) and not _kept(dep).exists() and dep.get_obj() is None:
        _keep(dep, _listing(_tree(dep, dep.fs, dep.fs_path)))


def _before(dep: Output) -> Listing | None:
    """The folder's listing when the stage last ran."""
    if not _is_folder(dep):
        return None
    if (cached := dep.get_obj()) is not None:
        return _listing(cached)
    with suppress(OSError, ValueError):
        return json.loads(_kept(dep).read_text())
    for tree in _committed(dep):
        if tree.hash_info == dep.hash_info:
            _keep(dep, _listing(tree))
            return _listing(tree)
    return None


def _is_folder(dep: Output) -> bool:
    """Whether it was a folder of the project when the stage last ran."""
    return bool(dep.is_in_repo and dep.is_dir_checksum)


def _committed(dep: Output) -> Iterator[Tree]:
    """The folder in the latest commit, then in the one that recorded its hash."""
    scm = dep.repo.scm
    if not isinstance(scm, Git):
        return
    path = "/" + dep.fs.as_posix(dep.fs.relpath(dep.fs_path, scm.root_dir))
    for commit in ("HEAD", *_recorded(dep)):
        fs = GitFileSystem(scm=scm, rev=commit) if scm.has_rev(commit) else None
        if fs and fs.isdir(path):
            yield _tree(dep, fs, path)


def _recorded(dep: Output) -> Iterator[str]:
    search = ["git", "log", "--format=%H", "-S", dep.hash_info.value, "--", "dvc.lock"]
    found = subprocess.run(search, cwd=dep.repo.root_dir, capture_output=True, text=True)
    yield from found.stdout.split()[-1:]


def _tree(dep: Output, fs: FileSystem, path: str) -> Tree:
    ignore = dep.dvcignore if fs is dep.fs else None
    return build(dep.local_cache, path, fs, "md5", ignore=ignore, dry_run=True)[2]


def _listing(tree: Tree) -> Listing:
    return {"/".join(key): md5.value for key, _, md5 in tree}


def _kept(dep: Output) -> Path:
    return Path(dep.repo.root_dir) / TREES / f"{dep.hash_info.value}.json"


def _keep(dep: Output, listing: Listing) -> None:
    """Whole or not at all; a folder that cannot be written to only costs the names of files."""
    file = _kept(dep)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(listing))
        partial.replace(file)
        for old in sorted(file.parent.glob("*.json"), key=lambda f: f.stat().st_mtime)[:-KEPT]:
            old.unlink()
