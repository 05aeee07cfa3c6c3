"""What nothing can be merged into, and what something else was trained on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from finery import lineage
from finery.merging.adapter import AdapterError, refuse_unfit_adapter
from finery.merging.base import BaseError, refuse_quantized


def quantized(folder: Path, **lists: str) -> Path:
    folder.mkdir(parents=True)
    config = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    (folder / "config.json").write_text(json.dumps(config))
    for name, text in lists.items():
        (folder / f"{name}.md").write_text(text)
    return folder


def test_a_quantized_base_names_the_one_in_full_precision(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/config.json").write_text("{}")
    refuse_quantized(tmp_path / "base")
    beside = quantized(tmp_path / "base/quantized")
    made = quantized(tmp_path / "gptq")
    lineage.write(made, [], "quantize", {})
    of_step = quantized(tmp_path / "awq")
    records = {"download": {}, "merge@sft": {}, "merge@dpo": {}, "quantize": {}}
    (of_step / lineage.LINEAGE).write_text(json.dumps(records))
    told = quantized(tmp_path / "card", README="---\nbase_model: acme/whole\n---\n# A card\n")
    several = quantized(tmp_path / "list", README="---\nbase_model:\n- acme/one\n---\n")
    bare = quantized(tmp_path / "bare", README="---\n: [\n---\n")
    for base, said in {
        beside: str(tmp_path / "base"), made: "models/base", of_step: "models/dpo",
        told: "acme/whole", several: "acme/one", bare: "the model that they were made from",
    }.items():  # fmt: skip
        with pytest.raises(BaseError) as caught:
            refuse_quantized(base)
        assert str(caught.value) == (
            f"{base}: its weights are quantized (gptq), so that nothing can be added to them;"
            f" merge into {said}"
        )


BASE: dict[str, Any] = {"download": {"source": "hf:acme/tiny@main", "weights": {"m": "a"}}}
SFT = BASE | {"train@sft": {"method": "sft"}, "merge@sft": {"dtype": "bfloat16"}}
AGAIN = BASE | {"train@sft": {"method": "sft"}, "merge@sft": {"dtype": "float16"}}


@pytest.mark.parametrize(
    ("start", "trained_on", "said"),
    [
        (BASE, SFT, "trained on the model of step sft, and not on the base model"),
        (SFT, BASE, "trained on the base model, and not on the model of step sft"),
        (AGAIN, SFT, "trained on another model of step sft, which was made again since"),
    ],
)
def test_an_adapter_of_another_start(
    start: dict[str, Any], trained_on: dict[str, Any], said: str, tmp_path: Path
) -> None:
    for name, records in {"start": start, "adapter": trained_on | {"train@dpo": {}}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / lineage.LINEAGE).write_text(json.dumps(records))
    with pytest.raises(AdapterError) as caught:
        refuse_unfit_adapter(tmp_path / "adapter", tmp_path / "start", "dpo")
    assert str(caught.value) == (
        f"{tmp_path / 'adapter'}: {said} ({tmp_path / 'start'}); run `dvc repro -f train@dpo`"
    )
    shutil.copy(tmp_path / "start" / lineage.LINEAGE, tmp_path / "adapter")
    with pytest.raises(AdapterError, match=r"adapter_config.json: missing"):
        refuse_unfit_adapter(tmp_path / "adapter", tmp_path / "start", "dpo")
