"""`hf:ORG/NAME@REVISION`: a model on the Hugging Face Hub, or on a mirror of it."""

import glob
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finery.hubs.errors import hf_in_one_line
from finery.hubs.revisions import pin, pinned
from finery.sources.errors import SourceError
from finery.sources.files import REVISIONS, link, model_files, sha256

if TYPE_CHECKING:
    from huggingface_hub import RepoFile


def fetch(
    source: str, base: Path, *, remote_code: bool = False, revisions: Path = REVISIONS
) -> dict[str, Any]:
    """Download a model into the Hub's cache, check every file, and link it into `base`.

    A branch or tag is resolved once and kept in `revisions`. What is whole in the cache is not
    asked for again, so that a second run needs no network. HF_ENDPOINT, HF_HOME, HF_TOKEN and
    HF_HUB_OFFLINE mean what they mean to huggingface_hub. Returns what the lineage records.
    Raises `SourceError`.
    """
    from huggingface_hub import snapshot_download

    repo, _, revision = source.removeprefix("hf:").partition("@")
    revision = revision or "main"
    with hf_in_one_line(repo, revision, revisions, SourceError):
        commit = _commit(repo, revision, revisions)
        listing = _listing(repo, commit)
        names = model_files(source, listing, remote_code)
        exact = [glob.escape(name) for name in names]
        snapshot = Path(snapshot_download(repo, revision=commit, allow_patterns=exact))
    weights = {}
    for name in names:
        digest = _checked(source, snapshot / name, listing[name])
        if name.endswith(".safetensors"):
            weights[name] = digest
        link(snapshot / name, base / name)
    return {"source": f"hf:{repo}@{revision}", "revision": commit, "weights": weights}


def _commit(repo: str, revision: str, revisions: Path) -> str:
    from huggingface_hub import HfApi

    if re.fullmatch("[0-9a-f]{40}", revision):
        return revision
    key = f"hf:{repo}@{revision}"
    commit = pinned(key, revisions)
    if commit is None:
        commit = HfApi().model_info(repo, revision=revision).sha
        pin(key, commit, revisions)
    return commit


def _listing(repo: str, commit: str) -> "dict[str, RepoFile]":
    """The files of a commit: from the cache if it is there, since a commit does not change."""
    from huggingface_hub import HfApi, RepoFile, get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        entries = get_cached_repo_tree(repo, revision=commit)
    except CachedRepoTreeNotFoundError:
        tree = HfApi().list_repo_tree(repo, revision=commit, recursive=True)
        entries = [entry for entry in tree if isinstance(entry, RepoFile)]
    return {entry.path: entry for entry in entries}


def _checked(source: str, file: Path, entry: "RepoFile") -> str:
    """The SHA-256 of a file that is what the Hub says it is; one that is not leaves the cache."""
    digest = sha256(file)
    good = digest == entry.lfs.sha256 if entry.lfs else _git_id(file) == entry.blob_id
    if not good:
        file.resolve().unlink()
        file.unlink(missing_ok=True)
        raise SourceError(
            f"{source}: {entry.path} was damaged on its way (its hash is not the Hub's);"
            " it was removed from the cache, run again to fetch it anew"
        )
    return digest


def _git_id(file: Path) -> str:
    """What git calls a small file that is kept in the repository itself."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
