"""Whether a model in GPTQ or AWQ can stand for the one in full precision beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from finery.check.model import ModelError
from finery.params.model import ModelParams
from stages.download import download

from .conftest import LLAMA, ROOT, change, make, problems

AWQ = {"quant_method": "awq", "bits": 4, "group_size": 64, "version": "gemm"}


@pytest.fixture
def quantized(project: Path) -> Path:
    """The model of the project in AWQ, and a step that is trained on it."""
    make(project / "tiny")
    make(project / "packed", LLAMA | {"quantization_config": AWQ})
    settings = {"model.quantized": "path:packed", "train.sft.quantization": {"method": "awq"}}
    change(**settings)
    return project / "packed"


def test_it_fits(quantized: Path):
    assert problems() == []


@pytest.mark.parametrize("changed, said", [
    ({"quantization_config": None},
     "its weights are in full precision, and it is for those in GPTQ or AWQ; take it out:"
     " quantization: {method: bnb} in a step quantizes model.source as it is loaded"),
    ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
     "its weights are in bitsandbytes, and it is for GPTQ or AWQ; take it out: quantization:"
     " {method: bnb} in a step quantizes model.source as it is loaded"),
    ({"quantization_config": AWQ | {"bits": 8}},
     "its weights are in 8 bits in groups of 64; name one in 4 bits in groups of 16, 32, 64 or"
     " 128"),
    ({"quantization_config": AWQ | {"group_size": -1}},
     "its weights are in 4 bits in groups of -1; name one in 4 bits in groups of 16, 32, 64 or"
     " 128"),
    ({"quantization_config": AWQ | {"version": "GEMV"}},
     "its weights are laid out for gemv; name one in the format gptq or gemm"),
    ({"hidden_size": 128},
     "hidden_size is 128, and 64 of model.source; set model.source to the model that it was made"
     " of"),
    ({"model_type": "qwen2"},
     "model_type is qwen2, and llama of model.source; set model.source to the model that it was"
     " made of"),
])  # fmt: skip
def test_it_does_not(quantized: Path, changed: dict[str, Any], said: str):
    """Said by the check, and by the download, of one that is somewhere else before."""
    config = json.loads((quantized / "config.json").read_text()) | changed
    (quantized / "config.json").write_text(json.dumps(config))
    assert problems() == [f"model.quantized: path:packed: {said}"]
    params = ModelParams(source="path:tiny", quantized="path:packed")
    with pytest.raises(ModelError) as caught:
        download(params, ROOT / "templates", base=Path("base"))
    assert str(caught.value) == f"model.quantized: path:packed: {said}"


def test_the_step_names_another_format(quantized: Path):
    change(**{"train.sft.quantization": {"method": "gptq"}})
    assert problems() == ["train.sft.quantization.method: gptq: model.quantized is in awq; set awq"]


def test_once_it_is_downloaded_that_is_what_is_looked_at(quantized: Path):
    params = ModelParams(source="path:tiny", quantized="path:packed")
    Path("models").mkdir()
    download(params, ROOT / "templates", base=Path("models/base"))
    record = json.loads(Path("models/base/lineage.json").read_text())["download"]
    assert record["source"] == "path:tiny" and list(record["weights"]) == ["model.safetensors"]
    assert record["quantized"] == {
        "source": "path:packed", "method": "awq", "weights": record["quantized"]["weights"],
    }  # fmt: skip
    quantized.rename("elsewhere")
    assert problems() == []
    change(**{"train.sft.quantization": {"method": "gptq"}})
    assert len(problems()) == 1
