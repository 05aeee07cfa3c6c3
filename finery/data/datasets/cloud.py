"""Datasets in a bucket or on a web server, through fsspec, into a cache of their own."""

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from finery.data.datasets.entries import Entry
from finery.data.errors import DataError
from finery.data.rows.files import TYPES

SCHEMES = ("s3", "gs", "gcs", "http", "https")
ANONYMOUS: dict[str, dict[str, Any]] = {
    "s3": {"anon": True}, "gs": {"token": "anon"}, "gcs": {"token": "anon"},
}  # fmt: skip
TAGS = ("ETag", "etag", "md5Hash", "Content-MD5", "Digest", "Last-Modified", "mtime")
"""What may tell one content of a file from another, the best first; all have a size too."""


def newest(url: str, revisions: Path) -> str:
    """A hash over the tags and sizes of the files at `url`. Raises `DataError`."""
    del revisions
    return _revision(_listing(url)[1])


def files(url: str, revision: str, entry: Entry, revisions: Path) -> dict[str, Path]:
    """The files at `url`, by their addresses, from the cache or from there.

    Raises `DataError`, also if they are no longer those of `revision`.
    """
    del entry
    key = hashlib.sha256(f"{url}\n{revision}".encode()).hexdigest()[:32]
    folder = _cache() / key
    if not folder.is_dir():
        filesystem, found = _listing(url)
        if _revision(found) != revision:
            raise DataError(
                f"{url}: is not what it was when {revisions} was written;"
                " accept it with `finery data update`"
            )
        _download(url, filesystem, list(found), folder)
    return {f"{url}#{file.name}" if _is_folder(url) else url: file for file in _in(folder)}


def _listing(url: str) -> tuple[Any, dict[str, str]]:
    """The filesystem, and the files at `url` with what tells their content from another."""
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise DataError(f"{url}: cannot be read; use {', '.join(f'{each}://' for each in SCHEMES)}")
    try:
        return _found(url, scheme, {})
    except Exception as error:  # each filesystem raises what its client does
        failed = error
    if scheme in ANONYMOUS and not isinstance(failed, FileNotFoundError | ImportError):
        try:
            return _found(url, scheme, ANONYMOUS[scheme])
        except Exception as error:
            failed = error
    raise _problem(url, failed) from None


def _found(url: str, scheme: str, options: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    import fsspec

    filesystem = fsspec.filesystem(scheme, skip_instance_cache=True, **options)
    if not _is_folder(url):
        return filesystem, {url: _tag(filesystem.info(url))}
    entries = filesystem.ls(url, detail=True)
    found = {
        each["name"]: _tag(each)
        for each in sorted(entries, key=lambda each: each["name"])
        if PurePosixPath(each["name"]).suffix in TYPES
    }
    if not found:
        raise FileNotFoundError
    return filesystem, found


def _download(url: str, filesystem: Any, names: list[str], folder: Path) -> None:
    partial = folder.with_name(f".partial-{folder.name}-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for name in names:
            filesystem.get_file(name, str(partial / PurePosixPath(urlsplit(name).path).name))
        partial.rename(folder)
    except Exception as error:
        if not folder.is_dir():  # or else another process was quicker
            raise _problem(url, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _revision(found: dict[str, str]) -> str:
    lines = "".join(f"{tag} {PurePosixPath(name).name}\n" for name, tag in found.items())
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _tag(info: dict[str, Any]) -> str:
    tag = next((info[key] for key in TAGS if info.get(key)), "")
    return f"{tag} {info.get('size')}"


def _is_folder(url: str) -> bool:
    return PurePosixPath(urlsplit(url).path).suffix not in TYPES


def _in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "finery" / "datasets"


def _problem(url: str, error: Exception) -> DataError:
    # A web server that cannot be reached, or refuses, is "not found" to fsspec: the cause knows.
    if isinstance(error, FileNotFoundError) and error.__cause__:
        error = error.__cause__  # type: ignore[assignment]
    if isinstance(error, FileNotFoundError) or getattr(error, "status", None) == 404:
        return DataError(f"{url}: no such file; check cloud_file_name")
    if isinstance(error, ImportError):
        return DataError(f"{url}: {error}")
    cause = next(iter(str(error).splitlines()), "") or type(error).__name__
    return DataError(f"{url}: cannot be read ({cause}); check the network and your credentials")
