"""Training on a base model in 4 bits, by `dvc repro`, to a package in full precision."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .project import A_FEW_STEPS, Project

STEP = A_FEW_STEPS | {"after": "base", "method": "sft", "data": ["identity"]}
SETTINGS = {
    "model.source": "path:wide",
    "model.quantized": "path:packed",
    "train": {"sft": STEP | {"quantization": {"method": "gptq"}}},
    "merge.step": "sft",
    "quantize.formats": [],
}


@pytest.mark.slow
def test_a_base_in_four_bits_through_dvc_to_a_package(
    new_project: Callable[[str], Project], wide_model: Path, packed: dict[str, Path]
) -> None:
    project = new_project("packed")
    shutil.copytree(wide_model, project.folder / "wide")
    shutil.copytree(packed["gptq"], project.folder / "packed")
    for key, value in SETTINGS.items():
        project.set(key, value)
    outcome = project.repro()
    assert outcome.status == 0, outcome.output
    config = json.loads(project.read("models/packages/merged/config.json"))
    assert "quantization_config" not in config
    manifest = json.loads(project.read("models/packages/merged/MANIFEST.json"))
    assert manifest["params"]["model"]["quantized"] == "path:packed"
    assert project.dry_run() == set()

    project.set("model.quantized", None)
    project.set("train.sft.quantization", None)
    assert project.dry_run() == {"download", "train@sft", "package@merged"}
