"""Make a release again from nothing, and compare: are its bytes what the pipeline makes?

The commit is cloned into .finery/rebuild, with a DVC cache of its own, so that nothing is taken
over from what was made before; only data that DVC tracks comes from the storage. What a stage made
is compared by the hashes of dvc.lock, in the order of the graph.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from finery.errors import PipelineError
from finery.git import git as call_git
from finery.releases import data, git
from finery.releases.errors import NotDelivered, ReleaseError
from finery.releases.registry import Release, find, registered
from finery.releases.tags import bring_or_say, events

SCRATCH = ".finery/rebuild"
STDERR = 2
PYPI = "pkg:pypi/"


@dataclass(frozen=True)
class Rebuilt:
    """A release that was made again.

    `stages` are those behind its package, in the order of the graph, `differing` those of them
    whose outputs came out otherwise, with the paths. `remarks` say what may explain it. `folder` is
    where it was made.
    """

    release: Release
    stages: list[str]
    differing: dict[str, list[str]]
    remarks: list[str]
    folder: Path


def rebuild(root: Path, wanted: str, say: Callable[[str], None] = lambda _: None) -> Rebuilt:
    """Run the pipeline of a release (NAME@prod or NAME@v1.2.0) again, with the code of its commit.

    It takes as long as the pipeline does; what was done by one that was stopped is kept. Raises
    `ReleaseError` for an unknown release, `NotDelivered` if data that DVC tracks cannot be had,
    `PipelineError` if a stage fails.
    """
    git.head(root)
    name, _, which = wanted.partition("@")
    if not name or not which:
        raise ReleaseError(f"{wanted}: say which one, such as merged@prod or merged@v1.2.0")
    bring_or_say(root, name, say)
    release = find(registered(events(root)), name, which)
    package = data.package_path(root, release.commit, name)
    manifest = _of_package(root, release, f"{package}/MANIFEST.json")
    commit, remarks = _made_from(manifest, release)
    folder = root / SCRATCH / f"{name}-{release.version}"
    _clone(root, commit, folder)
    _bring_tracked_data(root, commit, folder)
    say(f"making {name} {release.version} again, of commit {commit[:8]}, in {folder}")
    stages = _behind(folder, package)
    _repro(folder, stages[-1])
    then, now = data.locked_stages(root, release.commit), _lock(folder)
    differing = {stage: found for stage in stages if (found := _others(then, now, stage))}
    if differing:
        remarks += _other_libraries(_of_package(root, release, f"{package}/provenance.json"))
    else:
        shutil.rmtree(folder)
    return Rebuilt(release, stages, differing, remarks, folder)


def _of_package(root: Path, release: Release, path: str) -> dict[str, Any]:
    """A JSON file of the package; empty if it has none, or no storage has it any more."""
    try:
        storage = data.delivered(path, release.commit)
        with data.opened(root) as repo, storage, repo.switch(release.commit):
            return json.loads(repo.dvcfs.read_text(f"/{path}", encoding="utf-8"))
    except (NotDelivered, ValueError):
        return {}


def _made_from(manifest: dict[str, Any], release: Release) -> tuple[str, list[str]]:
    """The commit whose code made a package: dvc.lock is committed after it, in the release's own.

    Where files were changed and not committed yet, they are taken as the release's commit has them.
    """
    record = manifest.get("git", {})
    changed = [*record.get("modified", []), *record.get("untracked", [])]
    if record.get("commit") and not changed:
        return record["commit"], []
    said = f"when it was packaged, {', '.join(changed)} was in no commit, as its manifest says"
    return release.commit, [said] if changed else []


def _clone(root: Path, commit: str, folder: Path) -> None:
    """A clean checkout with a DVC cache of its own; one of that commit is left as it is."""
    if folder.exists() and _is_at(folder, commit):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    source, target = str(root.resolve()), str(folder.resolve())
    call_git(root, "clone", "--quiet", "--shared", "--no-checkout", source, target)
    call_git(folder, "checkout", "--quiet", "--detach", commit)
    (folder / ".dvc/config.local").write_text("[cache]\n    dir = cache\n", encoding="utf-8")


def _is_at(folder: Path, commit: str) -> bool:
    return (folder / ".git").exists() and git.head(folder) == commit


def _bring_tracked_data(root: Path, commit: str, folder: Path) -> None:
    with data.opened(root) as repo:
        with repo.switch(commit):
            sources = [stage for stage in repo.index.stages if not stage.cmd]
            paths = [repo.fs.relpath(out.fs_path, repo.root_dir) for s in sources for out in s.outs]
        for path in paths:
            if not (folder / path).exists():
                data.download(repo, commit, path, folder / path)


def _repro(folder: Path, stage: str) -> None:
    """Run a stage and what leads to it, by the Python that runs this."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"PATH": programs, "DVC_NO_ANALYTICS": "1"}
    environment.pop("PYTHONPATH", None)  # the code is the commit's
    command = [sys.executable, "-m", "dvc", "repro", stage]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=STDERR)
    if done.returncode:
        raise PipelineError(
            f"{folder}: the pipeline ended with exit status {done.returncode}, its message is"
            " above; the same command goes on from there"
        )


def _behind(folder: Path, package: str) -> list[str]:
    """The stages that a package comes from, each after those it depends on."""
    from networkx import dfs_postorder_nodes

    with data.opened(folder) as repo:
        maker = next(s for s in repo.index.stages for o in s.outs if _path(repo, o) == package)
        stages = list(dfs_postorder_nodes(repo.index.graph, maker))
        return [stage.name for stage in stages if stage.cmd]


def _path(repo: Any, out: Any) -> str:
    return repo.fs.relpath(out.fs_path, repo.root_dir)


def _others(then: dict[str, Any], now: dict[str, Any], stage: str) -> list[str]:
    """What a stage made that is not as it was."""
    before, after = (
        {out["path"]: out.get("md5") for out in lock.get(stage, {}).get("outs", ())}
        for lock in (then, now)
    )
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def _lock(folder: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML

    return YAML(typ="safe").load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]


def _other_libraries(provenance: dict[str, Any]) -> list[str]:
    """Which libraries are of other versions than those that the package was made with."""
    definition = provenance.get("predicate", {}).get("buildDefinition", {})
    uris = [each.get("uri", "") for each in definition.get("resolvedDependencies", ())]
    libraries = [uri.removeprefix(PYPI).split("@") for uri in uris if uri.startswith(PYPI)]
    return [
        f"{name} {then} then, {_version(name) or 'none'} here"
        for name, then in libraries
        if _version(name) != then
    ]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
