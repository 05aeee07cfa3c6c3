"""Could a clone make a release again? What its package is made from must be kept by git or DVC."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.git import git, untracked
from finery.releases import data
from finery.releases.errors import ReleaseError

SHOWN = 3
SETTINGS = ("dvc.yaml", "dvc.lock", "params.yaml")


def check_inputs(root: Path, path: str) -> None:
    """Raises `ReleaseError` naming what no clone would have, of all that is before a package."""
    if found := unkept(root, path):
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ReleaseError(
            f"{', '.join(found[:SHOWN])}{more}: neither in git nor kept by DVC, so that no clone"
            " could make this release again; `git add` (-f if git ignores it) or `dvc add`, commit"
        )


def unkept(root: Path, path: str) -> list[str]:
    """Inputs of the stages before the package at `path` that are not in git and no output of DVC's.

    Files that git ignores or does not track yet, what is gone, and what lies outside of the
    repository; sorted. Whether tracked files are as committed is another question.
    """
    with data.opened(root) as repo:
        outs = {_from(repo, out.fs_path) for out in repo.index.outs}
        inputs = {name for name in _inputs(repo, path) if not _is_in_one(name, outs)}
        found = {one for name in untracked(root, inputs) for one in _but_outs(repo, name, outs)}
    return sorted(found | {name for name in inputs if _is_gone(root, name)})


def _inputs(repo: Any, path: str) -> set[str]:
    """What the stages before a package read: data, code, settings, and the .dvc files of data."""
    import networkx as nx

    graph = repo.index.graph
    made = {_from(repo, out.fs_path): stage for stage in graph for out in stage.outs}
    if path not in made:
        raise ReleaseError(f"dvc.yaml: no stage makes {path}")
    before = {made[path], *nx.descendants(graph, made[path])}  # edges lead to what is needed
    files = {_from(repo, stage.path) for stage in before}
    deps = (dep for stage in before if stage.cmd for dep in stage.deps)
    return {*SETTINGS, *files, *(_from(repo, d.fs_path) for d in deps if d.protocol == "local")}


def _but_outs(repo: Any, name: str, outs: set[str]) -> Iterator[str]:
    """What git does not track, less DVC's outputs; a folder that has one in it, file by file."""
    if not any(_is_in_one(out, {name.rstrip("/")}) for out in outs):
        yield name
        return
    if name.rstrip("/") not in outs:
        for file in repo.dvcignore.find(repo.fs, repo.fs.join(repo.root_dir, name)):
            if not _is_in_one(_from(repo, file), outs):
                yield _from(repo, file)


def _is_gone(root: Path, name: str) -> bool:
    """Neither there nor in git's index, as the files that a sparse checkout leaves out are."""
    return not (root / name).exists() and not git(
        root, "--literal-pathspecs", "ls-files", "-z", "--", name
    )


def _is_in_one(name: str, folders: set[str]) -> bool:
    return any(Path(name).is_relative_to(folder) for folder in folders)


def _from(repo: Any, path: str) -> str:
    return repo.fs.relpath(path, repo.root_dir)
