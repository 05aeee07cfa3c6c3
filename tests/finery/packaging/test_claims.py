"""A package says one thing in all of its files, in forms that other tools read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from finery.packaging.attestation import ATTESTATION
from finery.packaging.bill import BILL
from finery.packaging.manifest import MANIFEST, entry
from finery.packaging.verify import verify
from tests.finery.packaging.made import make_package

WEIGHTS = "model.safetensors"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return make_package(tmp_path / "boat")


def rewritten(package: Path, name: str, text: str) -> None:
    """Change a file, and the manifest with it, as whoever makes a false package would."""
    (package / name).write_text(text, encoding="utf-8")
    manifest = json.loads((package / MANIFEST).read_text())
    manifest["files"] = [
        entry(package, file["path"]).model_dump() if file["path"] == name else file
        for file in manifest["files"]
    ]
    (package / MANIFEST).write_text(json.dumps(manifest))


def test_the_bill_is_cyclonedx(package: Path):
    text = (package / BILL).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    model = bill["metadata"]["component"]
    assert (model["type"], model["name"]) == ("machine-learning-model", "boat")
    parameters = model["modelCard"]["modelParameters"]
    assert parameters["approach"] == {"type": "supervised"}
    parts = {part["bom-ref"]: part for part in bill["components"]}
    assert [parts[each["ref"]]["name"] for each in parameters["datasets"]] == ["boats", "船"]
    hashes = {
        (p["type"], p["name"]): p["hashes"][0]["content"] for p in parts.values() if "hashes" in p
    }
    assert hashes["machine-learning-model", WEIGHTS] == "1" * 64
    assert hashes["data", "船"] == "3" * 64
    assert hashes["file", WEIGHTS] == entry(package, WEIGHTS).sha256
    assert any(part.get("purl", "").startswith("pkg:pypi/torch@2") for part in parts.values())
    scores = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "loss", "value": "1.23457", "slice": "test"} in scores


def test_the_attestation_is_slsa_provenance(package: Path):
    text = (package / ATTESTATION).read_text()
    statement = json_format.Parse(text, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    predicate = json_format.ParseDict(
        json.loads(text)["predicate"],
        provenance_pb2.Provenance(),  # refuses unknown fields
    )
    made = predicate.build_definition
    of = {each.name: (each.uri, dict(each.digest)) for each in made.resolved_dependencies}
    assert of["base:model.safetensors"] == ("hf:org/name@abc", {"sha256": "1" * 64})
    assert of["code:project"] == ("git:commit", {"gitCommit": "c" * 40})
    assert of["release:champion"] == ("release:merged@prod", {"gitCommit": "d" * 40})
    assert of["torch"][0].startswith("pkg:pypi/torch@2")
    assert made.external_parameters["train"]["sft"]["learning_rate"] == 2e-4
    subjects = {each.name: each.digest["sha256"] for each in statement.subject}
    assert subjects[WEIGHTS] == entry(package, WEIGHTS).sha256
    assert sorted(subjects) == ["README.md", "config.json", WEIGHTS]


def dependencies(statement: dict) -> list:
    return statement["predicate"]["buildDefinition"]["resolvedDependencies"]


def forged(change: Callable[[Any], Any]) -> Callable[[str], str]:
    def change_json(text: str) -> str:
        value = json.loads(text)
        change(value)
        return json.dumps(value)

    return change_json


CARD, SAYS = "README.md", "says other {} than MANIFEST.json"
FORGERIES = {
    "a base model's hash": (ATTESTATION, SAYS.format("base model, data or code"), forged(
        lambda s: dependencies(s)[0]["digest"].update(sha256="9" * 64))),
    "a base model's source": (ATTESTATION, SAYS.format("base model, data or code"), forged(
        lambda s: dependencies(s)[0].update(uri="hf:other/name@abc"))),
    "a dataset left out": (ATTESTATION, SAYS.format("base model, data or code"), forged(
        lambda s: dependencies(s).pop(2))),
    "another commit": (ATTESTATION, SAYS.format("base model, data or code"), forged(
        lambda s: next(d for d in dependencies(s) if d["name"] == "code:project").update(
            digest={"gitCommit": "e" * 40}))),
    "a setting": (ATTESTATION, SAYS.format("settings"), forged(
        lambda s: s["predicate"]["buildDefinition"]["externalParameters"]["train"].clear())),
    "a file's hash": (ATTESTATION, SAYS.format("files"), forged(
        lambda s: s["subject"][0]["digest"].update(sha256="9" * 64))),
    "another builder": (ATTESTATION, SAYS.format("kind of statement"), forged(
        lambda s: s["predicate"]["runDetails"]["builder"].update(id="urn:other"))),
    "no JSON": (ATTESTATION, "malformed", lambda text: text[:-9]),
    "a list": (BILL, "malformed", lambda text: "[]"),
    "another name": (BILL, SAYS.format("name"), forged(
        lambda b: b["metadata"]["component"].update(name="ship"))),
    "another licence": (BILL, SAYS.format("licence"), forged(
        lambda b: b["metadata"]["component"]["licenses"][0]["license"].update(name="gpl-3.0"))),
    "a dataset's hash": (BILL, SAYS.format("base model or data"), forged(
        lambda b: next(p for p in b["components"] if p["type"] == "data")["hashes"][0].update(
            content="9" * 64))),
    "a file less": (BILL, SAYS.format("files"), forged(lambda b: b["components"].pop())),
    "a better score": (BILL, SAYS.format("scores"), forged(
        lambda b: b["metadata"]["component"]["modelCard"]["quantitativeAnalysis"][
            "performanceMetrics"][0].update(value="0.1"))),
    "a card of another base": (CARD, SAYS.format("base model"), lambda text: text.replace(
        "base_model: org/name", "base_model: org/other")),
    "a card of another licence": (CARD, SAYS.format("licence"), lambda text: text.replace(
        "license: mit", "license: apache-2.0")),
    "a card of a better score": (CARD, SAYS.format("scores"), lambda text: text.replace(
        "1.2346", "0.2346")),
    "a card of a better score beside": (CARD, SAYS.format("scores"), lambda text: text.replace(
        "type: loss", "type: bleu")),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_disagrees_is_named(package: Path, forgery: str):
    assert verify(package) == []
    name, said, forge = FORGERIES[forgery]
    before = (package / name).read_text()
    after = forge(before)
    assert after != before
    rewritten(package, name, after)
    of_hashes = [] if name != CARD else [
        f"{other}: says other files than MANIFEST.json" for other in (BILL, ATTESTATION)
    ]  # fmt: skip
    assert sorted(verify(package)) == sorted([f"{name}: {said}", *of_hashes])
