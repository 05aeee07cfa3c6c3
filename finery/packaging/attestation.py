"""provenance.json: what a package was made of and by which settings, as SLSA has it.

An in-toto statement, https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, with
the predicate of https://slsa.dev/spec/v1.1/provenance. It has no times and no name of a machine,
so that the same inputs give the same bytes; who vouches for it is said by the signature.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from finery.packaging.manifest import Entry
from finery.packaging.materials import Material

ATTESTATION = "provenance.json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:finery:dvc-pipeline:1"
BUILDER = "urn:finery:package"


def attestation(
    files: Sequence[Entry],
    made_of: Iterable[Material],
    libraries: Iterable[Material],
    params: Mapping[str, Any],
) -> dict[str, Any]:
    """The statement on `files`: the settings, materials and libraries they were made by."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": file.path, "digest": {"sha256": file.sha256}} for file in files],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(params),
                "resolvedDependencies": [
                    *(_descriptor(each) for each in made_of),
                    *({"name": each.name, "uri": each.uri} for each in libraries),
                ],
            },
            "runDetails": {"builder": {"id": BUILDER}},
        },
    }


def _descriptor(material: Material) -> dict[str, Any]:
    return {
        "name": f"{material.kind}:{material.name}",
        "uri": material.uri,
        "digest": {material.algorithm: material.digest},
    }
