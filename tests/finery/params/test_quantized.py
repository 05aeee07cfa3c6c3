"""Which steps can be trained on a base model that is in GPTQ or AWQ already."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from finery.params.schema import ParamsError, load

ROOT = Path(__file__).resolve().parents[3]
GPTQ = {"quantization": {"method": "gptq"}}


def written(folder: Path, quantized: str | None, **own: dict[str, Any]) -> Path:
    """A params.yaml with these settings of steps; those that there are not begin after sft."""
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    params["model"] |= {"quantized": quantized}
    least = {"after": "sft", "method": "sft", "data": ["d"], "tuner": {"type": "lora"}}
    for name, settings in own.items():
        params["train"][name] = params["train"].get(name, least) | settings
    YAML().dump(params, file := folder / "params.yaml")
    return file


@pytest.mark.parametrize("source", ["hf:acme/tiny-GPTQ", "hf:acme/tiny@v1", "path:../tiny",
                                    "modelscope:acme/tiny"])  # fmt: skip
def test_a_step_after_the_base_model(source: str, tmp_path: Path):
    params = load(written(tmp_path, source, sft=GPTQ))
    assert params.train["sft"].quantization.words == "GPTQ, 4 bits"
    assert params.model.quantized == source


@pytest.mark.parametrize("quantized, own, said", [
    (None, {"sft": GPTQ},
     "train.sft.quantization.method: gptq needs the base model in GPTQ; set model.quantized to"
     " hf:ORG/NAME@REVISION, modelscope:ORG/NAME@REVISION or path:DIR, and model.source to the same"
     " in full precision"),
    ("path:a", {"sft": GPTQ, "more": GPTQ},
     "train.more.quantization.method: gptq is of the base model alone, and the step goes on from"
     " sft; take bnb, which quantizes what it is given"),
    ("path:a", {"sft": {}},
     "model.quantized: no step is trained on it; set quantization: {method: gptq}, or awq, in a"
     " step after base, or take it out"),
    ("pypi:tiny==1", {"sft": GPTQ},
     'model.quantized: "pypi:tiny==1" does not fit: hf:ORG/NAME@REVISION,'
     " modelscope:ORG/NAME@REVISION or path:DIR: the same model in GPTQ or AWQ, for steps to be"
     " trained on by quantization: {method: gptq}; what they learn is merged into source"),
    ("path:a", {"sft": {"quantization": {"method": "gptq", "bits": 4}}},
     "train.sft.quantization.bits: unknown key"),
])  # fmt: skip
def test_what_cannot_be(quantized: str | None, own: dict, said: str, tmp_path: Path):
    with pytest.raises(ParamsError) as caught:
        load(written(tmp_path, quantized, **own))
    (line,) = caught.value.problems
    assert line.partition(": ")[2] == said
