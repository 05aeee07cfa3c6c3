"""`modelscope:ORG/NAME@REVISION`: a model on ModelScope.

Through modelscope_hub, the client that modelscope itself downloads with: it needs no torch.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finery.hubs.errors import modelscope_in_one_line
from finery.hubs.revisions import pin, pinned
from finery.sources.errors import SourceError
from finery.sources.files import REVISIONS, link, model_files, sha256

if TYPE_CHECKING:
    from modelscope_hub import FileInfo


def fetch(
    source: str, base: Path, *, remote_code: bool = False, revisions: Path = REVISIONS
) -> dict[str, Any]:
    """Download a model into ModelScope's cache, check every file, and link it into `base`.

    A listing there does not tell the commit a branch stands for. So what is pinned in `revisions`
    is the content: one hash over the hashes of the files. MODELSCOPE_ENDPOINT, MODELSCOPE_CACHE
    and MODELSCOPE_API_TOKEN mean what they mean to modelscope. Returns what the lineage records.
    Raises `SourceError`.
    """
    from modelscope_hub import HubApi

    repo, _, revision = source.removeprefix("modelscope:").partition("@")
    revision = revision or "master"
    key = f"modelscope:{repo}@{revision}"
    with modelscope_in_one_line(key, SourceError):
        api = HubApi(endpoint=HubApi().resolve_endpoint_for_read(repo))
        entries = api.list_repo_files(repo, "model", revision=revision)
        listing = {entry.path: entry for entry in entries if not entry.is_dir}
        names = model_files(source, listing, remote_code)
        content = _pinned_content(key, [listing[name] for name in names], revisions)
        wanted = [
            {"Path": name, "Size": listing[name].size, "Sha256": listing[name].sha256}
            for name in names
        ]
        snapshot = api.download_repo(repo, "model", revision=revision, file_list=wanted)
    weights = {}
    for name in names:
        digest = _checked(key, snapshot / name, listing[name])
        if name.endswith(".safetensors"):
            weights[name] = digest
        link(snapshot / name, base / name)
    return {"source": key, "revision": content, "weights": weights}


def _pinned_content(key: str, entries: "list[FileInfo]", revisions: Path) -> str:
    lines = "".join(f"{entry.sha256} {entry.size} {entry.path}\n" for entry in entries)
    content = f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    known = pinned(key, revisions)
    if known is None:
        pin(key, content, revisions)
    elif known != content:
        raise SourceError(
            f"{key}: its files are not those of the first download; choose a fixed revision,"
            f" or accept the new ones by removing its line from {revisions}"
        )
    return content


def _checked(key: str, file: Path, entry: "FileInfo") -> str:
    digest = sha256(file)
    if entry.sha256 and digest != entry.sha256:
        file.unlink()
        raise SourceError(
            f"{key}: {entry.path} was damaged on its way (its hash is not ModelScope's);"
            " it was removed from the cache, run again to fetch it anew"
        )
    return digest
