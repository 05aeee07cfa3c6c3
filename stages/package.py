"""package: a model that passed the gate, as a folder that transformers and vLLM load as it is."""

import hashlib
from pathlib import Path

from finery import lineage
from finery.models.chat_template import TEMPLATE, chat_template
from finery.models.legal import is_legal, legal_files
from finery.models.settings import GGUF
from finery.packaging.attestation import ATTESTATION, attestation
from finery.packaging.bill import BILL, bill
from finery.packaging.card.facts import Facts
from finery.packaging.card.model_card import model_card
from finery.packaging.contents import place, read_json
from finery.packaging.deployment import deployment
from finery.packaging.errors import PackageError
from finery.packaging.keywords import trained_keywords, with_defaults
from finery.packaging.manifest import MANIFEST, hashed, write_manifest
from finery.packaging.materials import libraries, materials
from finery.packaging.provenance import provenance
from finery.packaging.verify import verify
from finery.params.package import PackageParams
from finery.params.recipe import Recipe
from finery.to_json import to_json


def package(params: Recipe, model: Path, metrics: Path, gate: Path, *, package: Path) -> None:
    """Put a model folder, its card and its manifest into `package`.

    `metrics` is the evaluation of this very model, `gate` the report of the gate. Raises
    `PackageError` if the gate was not passed, a file of the model is missing or a pickle, the
    chat template is not the one that the model was trained with, nothing ends its answers, or
    `package.license_link` leads nowhere; `GitError` if git does not read the repository.
    """
    history = provenance(Path())
    report, records = read_json(gate), lineage.read(model)
    if report.get("passed") is not True:
        raise PackageError(f"{gate}: the gate was not passed; nothing is packaged")
    template = chat_template(model)
    template_sha256 = hashlib.sha256(template.encode()).hexdigest()
    _check_trained_with(template_sha256, records, model)
    _check_stops(model)
    _check_license(params.package, model)
    config = read_json(model / "config.json")
    facts = Facts(
        params.package,
        quantization=_quantization(model, config, records),
        remote_code=any(model.glob("*.py")),  # there only if params.yaml trusts it
        metrics=read_json(metrics),
        gate=report,
        lineage=records,
        keywords=trained_keywords(records),
        sees=bool(config.get("vision_config")),
    )

    package.mkdir()
    place(model, package)
    (package / TEMPLATE).write_text(with_defaults(template, facts.keywords), encoding="utf-8")
    (package / "README.md").write_text(model_card(facts), encoding="utf-8")
    for name, text in deployment(package, facts.name, facts.quantization).items():
        (package / name).write_text(text, encoding="utf-8")
    files, made_of, installed = hashed(package), materials(records, history), libraries()
    architecture = (config.get("architectures") or [config.get("model_type", "unknown")])[0]
    for name, document in (
        (ATTESTATION, attestation(files, made_of, installed, params.model_dump())),
        (BILL, bill(facts, architecture, files, made_of, installed)),
    ):
        (package / name).write_text(to_json(document, indent=2) + "\n", encoding="utf-8")
    manifest = write_manifest(
        package,
        files,
        name=facts.name,
        chat_template_sha256=template_sha256,
        chat_template_kwargs=facts.keywords,
        git=history,
        gate=facts.gate,
        metrics=facts.metrics,
        params=params.model_dump(),
        lineage=records,
    )
    if problems := verify(package):
        raise PackageError(f"{package.name}: {problems[0]}; the disk changed what was written")
    size = sum(file.size for file in manifest.files)
    if lacking := history["untracked"]:
        print(f"{', '.join(lacking)}: in no commit; {MANIFEST} says so, and nobody else has it")
    print(f"{facts.name}: {len(manifest.files)} files, {size / 1e6:.1f} MB")


def _quantization(model: Path, config: dict, records: dict) -> dict:
    """How the weights are quantized; nothing if they are not. A GGUF's type is in its lineage."""
    if (model / GGUF).is_file():
        return {"quant_method": "gguf", "type": records["quantize"]["type"]}
    return config.get("quantization_config") or {}


def _check_trained_with(sha256: str, records: dict, model: Path) -> None:
    """Another template at serving time is the classic way to spoil a good model unnoticed."""
    for prepared in lineage.of(records, "prepare").values():
        trained = prepared.get("chat_template_sha256", sha256)
        if trained == sha256:
            continue
        raise PackageError(
            f"{model}: its chat template is not the one it was trained with"
            f" ({sha256[:12]}, not {trained[:12]}); run the pipeline from prepare again"
        )


def _check_stops(model: Path) -> None:
    """The download stage settled where answers end, and the file came along unchanged."""
    file = model / "generation_config.json"
    if not file.exists() or read_json(file).get("eos_token_id") in (None, []):
        raise PackageError(
            f"{file}: missing or without eos_token_id, so nothing would end an answer;"
            " run the pipeline from download again"
        )


def _check_license(params: PackageParams, model: Path) -> None:
    """A file comes from the base model: nothing else of a package is its licence."""
    link = params.license_link
    if link and "://" not in link and not (is_legal(link) and (model / link).is_file()):
        found = ", ".join(file.name for file in legal_files(model)) or "none"
        raise PackageError(
            f"package.license_link: {link}: no licence that came with the base model (it has"
            f" {found}); name one of those, or a URL"
        )


if __name__ == "__main__":
    from finery.stage.run import run

    run(package)
