"""A small package that says of itself all that a real one says."""

from pathlib import Path

from finery.packaging.attestation import ATTESTATION, attestation
from finery.packaging.bill import BILL, bill
from finery.packaging.card.facts import Facts
from finery.packaging.card.model_card import model_card
from finery.packaging.manifest import hashed, write_manifest
from finery.packaging.materials import libraries, materials
from finery.params.package import PackageParams
from finery.to_json import to_json

GIT = {"commit": "c" * 40, "modified": [], "untracked": []}
LINEAGE = {
    "download": {"source": "hf:org/name@abc", "weights": {"model.safetensors": "1" * 64}},
    "start@champion": {"source": "release:merged@prod", "version": "v1.0.0", "commit": "d" * 40},
    "prepare@sft": {"datasets": {"boats": {"rows": 106, "sha256": "2" * 64}}},
    "prepare@dpo": {
        "datasets": {
            "boats": {"rows": 106, "sha256": "2" * 64},
            "船": {"rows": 3, "sha256": "3" * 64},
        }
    },
    "train@sft": {"method": "sft"},
    "train@dpo": {"method": "dpo"},
}
METRICS = {"test": {"loss": 1.23456789, "bleu": float("nan")}, "all": {"loss": 2.0}}


def make_package(folder: Path) -> Path:
    """Put a package into a new folder."""
    folder.mkdir()
    params = PackageParams(name="boat", license="mit", language=["zh"], description="懂船。")
    settings = {"package": params.model_dump(), "train": {"sft": {"learning_rate": 2e-4}}}
    facts = Facts(params, {}, False, METRICS, {"passed": True}, LINEAGE)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 100)
    (folder / "README.md").write_text(model_card(facts), encoding="utf-8")
    files, made_of = hashed(folder), materials(LINEAGE, GIT)
    for name, document in (
        (ATTESTATION, attestation(files, made_of, libraries(), settings)),
        (BILL, bill(facts, "LlamaForCausalLM", files, made_of, libraries())),
    ):
        (folder / name).write_text(to_json(document), encoding="utf-8")
    write_manifest(
        folder, files, name=facts.name, chat_template_sha256="0" * 64, git=GIT, gate=facts.gate,
        metrics=METRICS, params=settings, lineage=LINEAGE,
    )  # fmt: skip
    return folder
