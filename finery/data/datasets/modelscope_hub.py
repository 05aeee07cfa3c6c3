"""Datasets on ModelScope: their files, never their scripts."""

import hashlib
from pathlib import Path
from typing import Any

from finery.data.datasets.entries import Entry
from finery.data.datasets.split_files import CARD, readable, split_files
from finery.data.errors import DataError
from finery.hubs.errors import modelscope_in_one_line

BRANCH = "master"
KIND = "dataset"


def newest(repo: str, revisions: Path) -> str:
    """One hash over the hashes of the files: a listing does not tell their commit."""
    del revisions
    with modelscope_in_one_line(f"modelscope:{repo}", DataError):
        return _content(_listing(repo))


def files(repo: str, content: str, entry: Entry, revisions: Path) -> dict[str, Path]:
    """The files of an entry, by their names, from ModelScope's cache or ModelScope.

    Raises `DataError`, also if they are no longer those of the hash `content`.
    """
    source = f"modelscope:{repo}"
    with modelscope_in_one_line(source, DataError):
        listing = _listing(repo)
        if _content(listing) != content:
            raise DataError(
                f"{source}: its files are not those of {revisions};"
                " accept the new ones with `finery data update`"
            )
        card = b""
        if CARD in listing:
            card = (_snapshot(repo, [listing[CARD]]) / CARD).read_bytes()
        wanted = split_files(source, listing, card, entry)
        snapshot = _snapshot(repo, [listing[name] for name in wanted])
    for name in wanted:
        _check(source, snapshot / name, listing[name])
    return {f"{source}/{name}": snapshot / name for name in wanted}


def _listing(repo: str) -> dict[str, Any]:
    from modelscope_hub import HubApi

    entries = _api(repo, HubApi).list_repo_files(repo, KIND, revision=BRANCH)
    found = {entry.path: entry for entry in entries if not entry.is_dir}
    return {name: found[name] for name in readable(found)}


def _content(listing: dict[str, Any]) -> str:
    lines = "".join(f"{file.sha256} {file.size} {name}\n" for name, file in listing.items())
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _snapshot(repo: str, entries: list[Any]) -> Path:
    from modelscope_hub import HubApi

    wanted = [{"Path": file.path, "Size": file.size, "Sha256": file.sha256} for file in entries]
    return _api(repo, HubApi).download_repo(repo, KIND, revision=BRANCH, file_list=wanted)


def _api(repo: str, hub_api: Any) -> Any:
    return hub_api(endpoint=hub_api().resolve_endpoint_for_read(repo, repo_type=KIND))


def _check(source: str, file: Path, entry: Any) -> None:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if entry.sha256 and digest != entry.sha256:
        file.unlink()
        raise DataError(
            f"{source}: {entry.path} was damaged on its way (its hash is not ModelScope's);"
            " it was removed from the cache, run again to fetch it anew"
        )
