"""MANIFEST.json: every file of a package by SHA-256 and size, and what it was made from."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, field_validator

from finery.packaging.errors import PackageError
from finery.to_json import finite, to_json

MANIFEST = "MANIFEST.json"


class Entry(BaseModel):
    """One file: a posix path inside the package, SHA-256 in hex, size in bytes."""

    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError("leads outside the package")
        return value


class Manifest(BaseModel):
    """What a package holds and where it comes from."""

    name: str
    chat_template_sha256: str
    """Of the chat template as it was in the training; the package's has `chat_template_kwargs` as
    its defaults."""
    chat_template_kwargs: dict[str, Any] = {}
    git: dict[str, Any]
    gate: dict[str, Any]
    metrics: dict[str, Any]
    params: dict[str, Any]
    lineage: dict[str, Any]
    files: list[Entry]


def write_manifest(package: Path, files: Sequence[Entry] = (), **facts: Any) -> Manifest:
    """List the files of `package` in its MANIFEST.json, with the other fields of `Manifest`.

    `files` are those that were hashed before, and have not changed since.
    """
    known = {file.path for file in files}
    entries = sorted([*files, *hashed(package, known)], key=lambda file: file.path)
    manifest = Manifest(**finite(facts), files=entries)
    text = to_json(manifest.model_dump(), indent=2)
    (package / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def hashed(package: Path, but: Collection[str] = ()) -> list[Entry]:
    """Every file of a package, by its path, except for its manifest and those in `but`."""
    paths = sorted(
        file.relative_to(package).as_posix() for file in package.rglob("*") if file.is_file()
    )
    return [entry(package, path) for path in paths if path != MANIFEST and path not in but]


def read_manifest(package: Path) -> Manifest:
    """The manifest of a package. Raises `PackageError` if it is missing or malformed."""
    file = package / MANIFEST
    if file.exists() and not file.is_file():  # a pipe would be waited for
        raise PackageError(f"{file}: not a plain file; is {package} a package?")
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except OSError as error:
        raise PackageError(f"{file}: {error.strerror}; is {package} a package?") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise PackageError(
            f"{file}: malformed: {where or 'JSON'} ({first['msg']}); package the model again"
        ) from None


def entry(package: Path, path: str) -> Entry:
    """Hash a file of a package, a piece at a time."""
    file = package / path
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Entry(path=path, sha256=digest, size=file.stat().st_size)
