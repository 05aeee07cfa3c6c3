"""What a release is made of, at its commit: from DVC's cache, or else from the DVC remote."""

import errno
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.releases import git
from finery.releases.errors import NotDelivered, ReleaseError
from finery.samples import Sample, parse_samples

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
MERGED = "merged"
SAMPLES = ("reports/samples/{name}.jsonl", "reports/evaluate/{name}/samples.jsonl")
"""Where a model's test samples are; the second in releases made before there were formats."""


def artifacts(root: Path, commit: str = "HEAD") -> list[str]:
    """The names under `artifacts` of dvc.yaml, less the formats that params.yaml leaves out."""
    names = list(_yaml(root, commit, "dvc.yaml").get("artifacts", {}))
    wanted = _yaml(root, commit, "params.yaml").get("quantize", {}).get("formats", names)
    return [name for name in names if name == MERGED or name in wanted]


def package_path(root: Path, commit: str, name: str) -> str:
    """Where a model's package lies, as dvc.yaml says under `artifacts`.

    Raises `ReleaseError` naming the artifacts there are.
    """
    artifacts = _yaml(root, commit, "dvc.yaml").get("artifacts", {})
    if name not in artifacts:
        known = f"it has {', '.join(artifacts)}" if artifacts else "it has none"
        raise ReleaseError(f"dvc.yaml: artifacts: no {name} at commit {commit[:8]}; {known}")
    return artifacts[name]["path"]


def locked_stages(root: Path, commit: str) -> dict[str, Any]:
    """The stages as dvc.lock records their last run. Raises `ReleaseError` if there is none."""
    return _yaml(root, commit, "dvc.lock").get("stages", {})


def maker(root: Path, commit: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """The stage that made an output, and what dvc.lock says of it; None if no stage there did.

    Of two, the later: DVC keeps what it wrote of stages that are renamed, and adds at the end.
    """
    for name, stage in reversed(locked_stages(root, commit).items()):
        if any(out["path"] == path for out in stage.get("outs", ())):
            return name, stage
    return None


def package_hash(root: Path, commit: str, path: str) -> str | None:
    """DVC's hash of a package; None if dvc.lock of that commit has no such output."""
    _, made = maker(root, commit, path) or ("", {})
    return next((out.get("md5") for out in made.get("outs", ()) if out["path"] == path), None)


def samples_path(root: Path, commit: str, name: str) -> str:
    """Where the test samples of a model are at a commit."""
    found = (path for each in SAMPLES if maker(root, commit, path := each.format(name=name)))
    return next(found, SAMPLES[0].format(name=name))


def is_locked(root: Path, commit: str, package: str) -> bool:
    """Whether a commit's dvc.lock has an output of this hash; quicker than reading it as YAML."""
    return package in (git.read(root, commit, "dvc.lock") or "")


def samples(root: Path, commit: str, name: str) -> list[Sample]:
    """The scored test samples of a model. Raises `NotDelivered` if no storage has them."""
    path = samples_path(root, commit, name)
    with opened(root) as repo, delivered(path, commit), repo.switch(commit):
        return parse_samples(repo.dvcfs.read_text(f"/{path}", encoding="utf-8"))


def download(
    repo: Any, commit: str, path: str, to: Path, check: Callable[[Path], None] = lambda _: None
) -> None:
    """Copy a folder of a commit out of DVC's storage; `to` appears whole and checked, or not.

    `repo` is DVC's Repo; `check` raises if it does not like what came. Raises `NotDelivered` if
    no storage has all of it.
    """
    from dvc.fs import download as dvc_download

    partial = to.with_name(f".partial-{to.name}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        with delivered(path, commit), repo.switch(commit):
            dvc_download(repo.dvcfs, f"/{path}", str(partial.resolve()))
        check(partial)
        partial.rename(to)
    except OSError as error:
        raise NotDelivered(f"{to}: {error.strerror}; choose another folder") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def opened(root: Path) -> Iterator[Any]:
    """The project as DVC's Repo, whose warnings come to an error or to nothing here."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    for noisy in ("dvc", "dvc_data"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        with Repo(str(root)) as repo:
            yield repo
    except DvcException as error:
        raise ReleaseError(f"dvc: {' '.join(str(error).split())}") from None


@contextmanager
def delivered(what: str, commit: str) -> Iterator[None]:
    """One line for whatever the storage says: each kind fails in the words of its own library."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise NotDelivered(f"{what}: {said}; free some space") from None
        raise NotDelivered(
            f"{what} (commit {commit[:8]}): {said}; is it in this cache, or on a DVC remote that"
            " can be reached (`dvc push` where it was made)?"
        ) from None


def _yaml(root: Path, commit: str, path: str) -> dict[str, Any]:
    from ruamel.yaml import YAML, YAMLError

    text = git.read(root, commit, path)
    if text is None:
        raise ReleaseError(f"{path}: not in commit {commit[:8]}; run the pipeline and commit it")
    try:
        return YAML(typ="safe").load(text) or {}
    except YAMLError:
        raise ReleaseError(
            f"{path}: not YAML at commit {commit[:8]}; repair and commit it"
        ) from None
