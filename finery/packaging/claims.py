"""Do a package's bill, attestation and card say what its manifest says?

Each is covered by the manifest's hashes, so that none can be changed alone; but who writes a
manifest anew could leave in another file what is not so. Packages from before there were bills and
attestations have none, and nothing to compare.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.packaging.attestation import ATTESTATION, BUILDER, PREDICATE, STATEMENT
from finery.packaging.bill import BILL
from finery.packaging.card.facts import base_model, numbers, rounded
from finery.packaging.manifest import MANIFEST, Manifest
from finery.packaging.materials import materials

README = "README.md"
OF_THE_PACKAGE = {ATTESTATION, BILL, MANIFEST}
"""What no bill and attestation can have the hashes of."""


def disagreements(package: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """The files of a package that say other than its manifest, and of what."""
    listed = {file.path for file in manifest.files}
    for name, differs in ((ATTESTATION, _attested), (BILL, _billed), (README, _carded)):
        if name not in listed:
            continue
        try:
            others = list(differs((package / name).read_text(encoding="utf-8"), manifest))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            yield name, "malformed"
        else:
            if others:
                yield name, f"says other {', '.join(others)} than {MANIFEST}"


def _attested(text: str, manifest: Manifest) -> Iterator[str]:
    statement = json.loads(text)
    made = statement["predicate"]["buildDefinition"]
    builder = statement["predicate"]["runDetails"]["builder"]["id"]
    if (statement["_type"], statement["predicateType"], builder) != (STATEMENT, PREDICATE, BUILDER):
        yield "kind of statement"
    if [(each["name"], each["digest"]["sha256"]) for each in statement["subject"]] != _files(
        manifest
    ):
        yield "files"
    if made["externalParameters"] != manifest.params:
        yield "settings"
    given = [each for each in made["resolvedDependencies"] if "digest" in each]
    if [(each["name"], each["uri"], each["digest"]) for each in given] != [
        (f"{each.kind}:{each.name}", each.uri, {each.algorithm: each.digest})
        for each in materials(manifest.lineage, manifest.git)
    ]:
        yield "base model, data or code"


def _billed(text: str, manifest: Manifest) -> Iterator[str]:
    document = json.loads(text)
    model, parts = document["metadata"]["component"], document["components"]
    if model["name"] != manifest.name:
        yield "name"
    if model["licenses"][0]["license"]["name"] != _package(manifest).get("license"):
        yield "licence"
    hashed = [
        (p["type"] == "file", p["name"], p["hashes"][0]["content"]) for p in parts if "hashes" in p
    ]
    if [each for is_file, *each in hashed if is_file] != list(map(list, _files(manifest))):
        yield "files"
    made_of = materials(manifest.lineage, manifest.git)
    expected = [[each.name, each.digest] for each in made_of if each.algorithm == "sha256"]
    if [each for is_file, *each in hashed if not is_file] != expected:
        yield "base model or data"
    scores = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    if [(each["slice"], each["type"], each["value"]) for each in scores] != [
        (dataset, name, f"{value:g}")
        for dataset, values in numbers(manifest.metrics).items()
        for name, value in values.items()
    ]:
        yield "scores"


def _carded(text: str, manifest: Manifest) -> Iterator[str]:
    from ruamel.yaml import YAML

    if not text.startswith("---\n"):
        return
    head: dict[str, Any] = YAML(typ="safe").load(text.split("---\n")[1]) or {}
    if head.get("base_model") != base_model(manifest.lineage):
        yield "base model"
    if "license" in _package(manifest) and head.get("license") != _package(manifest)["license"]:
        yield "licence"
    found = {
        (result["dataset"]["type"], metric["type"]): metric["value"]
        for index in head.get("model-index", [])
        for result in index["results"]
        for metric in result["metrics"]
    }
    expected = {
        (dataset, name): rounded(value)
        for dataset, values in numbers(manifest.metrics).items()
        for name, value in values.items()
        if dataset != "all" and math.isfinite(value)
    }
    if found != expected:
        yield "scores"


def _files(manifest: Manifest) -> list[tuple[str, str]]:
    return [(each.path, each.sha256) for each in manifest.files if each.path not in OF_THE_PACKAGE]


def _package(manifest: Manifest) -> dict[str, Any]:
    return manifest.params.get("package", {})
