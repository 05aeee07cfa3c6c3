"""What an artefact was made from: a record a stage, carried along in `lineage.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finery.to_json import to_json

LINEAGE = "lineage.json"


def read(artefact: Path) -> dict[str, Any]:
    """The records of the stages behind an artefact (a folder), by stage name, in their order."""
    file = artefact / LINEAGE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def of(records: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """The records of a stage that a step has each its own of, by the step, in their order."""
    named = ((name.partition("@"), record) for name, record in records.items())
    return {step: record for (kind, _, step), record in named if kind == stage}


def maker(artefact: Path) -> str | None:
    """The stage that made an artefact, such as download or merge@sft; None if it has no record."""
    return next(reversed(read(artefact)), None)


def trusts_remote_code(artefact: Path) -> bool:
    """Whether params.yaml allowed the code of the base model that an artefact descends from."""
    return bool(read(artefact).get("download", {}).get("trust_remote_code", False))


def write(artefact: Path, upstream: list[Path], stage: str, record: dict[str, Any]) -> None:
    """Put into `artefact` the records of the artefacts it was made from, and this stage's own.

    A record holds settings, names and hashes; never a time, a host or a path of this machine.
    """
    lineage: dict[str, Any] = {}
    for source in upstream:
        lineage |= read(source)
    lineage[stage] = record
    text = to_json(lineage, indent=2)
    (artefact / LINEAGE).write_text(text + "\n", encoding="utf-8")
