"""Datasets on the Hugging Face Hub, or on a mirror of it: their files, never their scripts."""

import glob
from pathlib import Path

from finery.data.datasets.entries import Entry
from finery.data.datasets.split_files import CARD, readable, split_files
from finery.data.errors import DataError
from finery.hubs.errors import hf_in_one_line

BRANCH = "main"
KIND = "dataset"


def newest(repo: str, revisions: Path) -> str:
    """The commit that the main branch is at. Raises `DataError`."""
    from huggingface_hub import HfApi

    with hf_in_one_line(repo, BRANCH, revisions, DataError, "datasets/"):
        return str(HfApi().dataset_info(repo, revision=BRANCH).sha)


def files(repo: str, commit: str, entry: Entry, revisions: Path) -> dict[str, Path]:
    """The files of an entry at a commit, by their names, from the Hub's cache or the Hub.

    Raises `DataError`.
    """
    source = f"hf:{repo}"
    with hf_in_one_line(repo, commit, revisions, DataError, "datasets/"):
        names = readable(_listing(repo, commit))
        card = b""
        if CARD in names:
            card = (_snapshot(repo, commit, [CARD]) / CARD).read_bytes()
        wanted = split_files(source, names, card, entry)
        snapshot = _snapshot(repo, commit, wanted)
    return {f"{source}/{name}": snapshot / name for name in wanted}


def _listing(repo: str, commit: str) -> list[str]:
    """The names at a commit, from the cache if they are there: a commit does not change."""
    from huggingface_hub import HfApi, get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return [file.path for file in get_cached_repo_tree(repo, repo_type=KIND, revision=commit)]
    except CachedRepoTreeNotFoundError:
        return HfApi().list_repo_files(repo, repo_type=KIND, revision=commit)


def _snapshot(repo: str, commit: str, names: list[str]) -> Path:
    from huggingface_hub import snapshot_download

    exact = [glob.escape(name) for name in names]
    return Path(snapshot_download(repo, repo_type=KIND, revision=commit, allow_patterns=exact))
