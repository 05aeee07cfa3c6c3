"""start: a released model for steps of the training to start from."""

import sys
from pathlib import Path
from typing import Any

from finery import lineage
from finery.models.chat_template import TEMPLATE, chat_template
from finery.packaging.claims import OF_THE_PACKAGE, README
from finery.packaging.contents import read_json
from finery.packaging.deployment import COMPOSE, MODELFILE
from finery.packaging.errors import PackageError
from finery.packaging.keywords import with_defaults
from finery.packaging.manifest import read_manifest
from finery.packaging.verify import verify
from finery.releases.fetch import fetch
from finery.releases.pinned import resolved
from finery.to_json import to_json

REVISIONS = Path("models/revisions.json")
TOKENIZER = ("tokenizer.json", "*.model", "vocab.json", "vocab.txt", "merges.txt", "*.tiktoken")
OF = " of "


def start(name: str, source: str, base: Path, *, model: Path) -> None:
    """Make `model` of the release that `source` (release:NAME@STAGE or @VERSION) stands for.

    It is whole and verified, and reads the tokens of `base`, by which the data is prepared. Raises
    `ReleaseError` if there is no such release, `NotDelivered` if it cannot be had, `PackageError`
    if nothing can be trained on it.
    """
    release = resolved(Path(), source, REVISIONS, _say)
    fetch(".", f"{release.name}@{release.version}", model, verify, _say)
    full_name = f"{release.name} {release.version}"
    records = _unpacked(model, full_name)
    _refuse_other_words(model, base, full_name)
    (model / lineage.LINEAGE).write_text(to_json(records), encoding="utf-8")
    record = {"source": source, "version": release.version, "commit": release.commit}
    lineage.write(model, [model], f"start@{name}", record)
    _say(f"start: models/{name} is {full_name}, of commit {release.commit[:8]}")


def _unpacked(package: Path, name: str) -> dict[str, Any]:
    """Leave the model of a package in its place, with the chat template it was trained with.

    Returns its lineage, in which stages are named after the release, as `train@sft of merged
    v0.2.0`, so that later steps of the same names leave them be.
    """
    if read_json(package / "config.json").get("quantization_config"):
        raise PackageError(f"{name}: its weights are quantized; go on from the merged model")
    manifest = read_manifest(package)
    for file in (*OF_THE_PACKAGE, README, MODELFILE, COMPOSE):
        (package / file).unlink(missing_ok=True)
    defaults = with_defaults("", manifest.chat_template_kwargs)
    template = chat_template(package).removeprefix(defaults)
    (package / TEMPLATE).write_text(template, encoding="utf-8")
    return {
        stage if stage == "download" or OF in stage else f"{stage}{OF}{name}": record
        for stage, record in manifest.lineage.items()
    }


def _refuse_other_words(model: Path, base: Path, name: str) -> None:
    """The data of all steps is prepared by the base model's tokenizer and chat template."""
    if chat_template(model) != chat_template(base):
        raise PackageError(
            f"{name}: has another chat template than {base}; set model.chat_template, or"
            " model.source, to what it was made with"
        )
    if _tokenizer(model) != _tokenizer(base):
        raise PackageError(
            f"{name}: has another tokenizer than {base}; set model.source to the model that it was"
            " made from"
        )


def _tokenizer(model: Path) -> dict[str, bytes]:
    files = {file for pattern in TOKENIZER for file in model.glob(pattern)}
    return {file.name: file.read_bytes() for file in files}


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    from finery.stage.run import run

    run(start)
