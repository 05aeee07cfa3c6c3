"""What a package was made of, each thing by its hash, as bills and attestations name it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from finery.lineage import of

LIBRARIES = (
    "torch", "transformers", "tokenizers", "trl", "peft", "accelerate", "gptqmodel", "dvc",
    "finery",
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Material:
    """One thing: `uri` says where it is from, `digest` is in hex, of the kind `algorithm`.

    A library has its version in its uri, and no digest.
    """

    kind: Literal["base", "dataset", "release", "code", "library"]
    name: str
    uri: str
    algorithm: Literal["sha256", "gitCommit"] | None = None
    digest: str | None = None


def materials(lineage: Mapping[str, Any], git: Mapping[str, Any]) -> list[Material]:
    """Base model, datasets, releases it went on from and code, by the records of a package."""
    return sorted({*_base(lineage), *_datasets(lineage), *_releases(lineage), *_code(git)})


def libraries() -> list[Material]:
    """The libraries of this environment that make models, by their versions."""
    found = []
    for name in LIBRARIES:
        try:
            number = version(name)
        except PackageNotFoundError:
            continue
        found.append(Material("library", name, f"pkg:pypi/{name}@{number}"))
    return found


def _base(lineage: Mapping[str, Any]) -> Iterator[Material]:
    download = lineage.get("download", {})
    for file, digest in download.get("weights", {}).items():
        yield Material("base", file, str(download.get("source")), "sha256", digest)


def _datasets(lineage: Mapping[str, Any]) -> Iterator[Material]:
    for prepared in of(lineage, "prepare").values():
        for name, record in prepared.get("datasets", {}).items():
            yield Material("dataset", name, f"dataset:{name}", "sha256", record.get("sha256"))


def _releases(lineage: Mapping[str, Any]) -> Iterator[Material]:
    for name, record in of(lineage, "start").items():
        yield Material("release", name, record["source"], "gitCommit", record["commit"])


def _code(git: Mapping[str, Any]) -> Iterator[Material]:
    if commit := git.get("commit"):
        yield Material("code", "project", "git:commit", "gitCommit", commit)
