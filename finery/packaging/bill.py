"""bom.cdx.json: the bill of materials of a package, by CycloneDX, https://cyclonedx.org.

A machine-learning BOM of version 1.6: the model with a model card (how it was trained, on which
data, how it scored), what it was made of by hashes, its files, and the libraries by version.
It has no time, and its serial number follows from what it says: the same inputs, the same bytes.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finery.lineage import of
from finery.packaging.card.facts import Facts, numbers
from finery.packaging.manifest import Entry
from finery.packaging.materials import Material
from finery.to_json import to_json

BILL = "bom.cdx.json"
APPROACHES = {
    "pretrain": "self-supervised",
    "grpo": "reinforcement-learning",
    "rloo": "reinforcement-learning",
}
SUPERVISED = "supervised"


def bill(
    facts: Facts,
    architecture: str,
    files: Sequence[Entry],
    made_of: Sequence[Material],
    libraries: Sequence[Material],
) -> dict[str, Any]:
    """The bill as JSON; `architecture` is the model's class, such as LlamaForCausalLM."""
    parts = [*map(_part, made_of), *map(_library, libraries), *map(_file, files)]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _model(facts, architecture, made_of)},
        "components": parts,
        "dependencies": [
            {"ref": facts.name, "dependsOn": [part["bom-ref"] for part in parts]},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }
    serial = uuid.UUID(bytes=hashlib.sha256(to_json(document).encode()).digest()[:16], version=4)
    return {"serialNumber": f"urn:uuid:{serial}", **document}


def _model(facts: Facts, architecture: str, made_of: Sequence[Material]) -> dict[str, Any]:
    methods = [record.get("method", "sft") for record in of(facts.lineage, "train").values()]
    approach = APPROACHES.get(methods[-1] if methods else "sft", SUPERVISED)
    datasets = [{"ref": _ref(each)} for each in made_of if each.kind == "dataset"]
    return {
        "type": "machine-learning-model",
        "bom-ref": facts.name,
        "name": facts.name,
        **({"description": facts.params.description} if facts.params.description else {}),
        "licenses": [{"license": {"name": facts.params.license}}],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": approach},
                "task": "text-generation",
                "modelArchitecture": architecture,
                **({"datasets": datasets} if datasets else {}),
            },
            "quantitativeAnalysis": {"performanceMetrics": list(_scores(facts.metrics))},
        },
    }


def _scores(metrics: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for dataset, values in numbers(metrics).items():
        for name, value in values.items():
            yield {"type": name, "value": f"{value:g}", "slice": dataset}


def _part(material: Material) -> dict[str, Any]:
    part = {"bom-ref": _ref(material), "name": material.name}
    if material.kind == "base":
        part |= {"type": "machine-learning-model", "group": material.uri}
    elif material.kind == "dataset":
        part |= {"type": "data", "data": [{"type": "dataset", "name": material.name}]}
    else:
        part |= {"type": "application", "version": material.digest, "group": material.uri}
    if material.algorithm == "sha256":
        part["hashes"] = [{"alg": "SHA-256", "content": material.digest}]
    return part


def _library(library: Material) -> dict[str, Any]:
    version = library.uri.rpartition("@")[2]
    return {
        "type": "library",
        "bom-ref": library.uri,
        "name": library.name,
        "version": version,
        "purl": library.uri,
    }


def _file(file: Entry) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file:{file.path}",
        "name": file.path,
        "hashes": [{"alg": "SHA-256", "content": file.sha256}],
    }


def _ref(material: Material) -> str:
    return f"{material.kind}:{material.name}:{(material.digest or '')[:16]}"
