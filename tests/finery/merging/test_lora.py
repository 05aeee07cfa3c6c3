"""A merged model is base + adapter, or there is no merged model."""

from pathlib import Path
from typing import Any

import pytest
import torch

from finery.merging.fidelity import compare
from finery.merging.lora import MergeError, merge_lora
from finery.models.load import load_model

PROBES = [list(range(5, 30)), [7, 300, 12], [2, 1]]


def make_adapter(base: Path, folder: Path, **options: Any) -> Path:
    """An adapter of random weights, B included, which begins as zeros."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    model = get_peft_model(load_model(base, "float32"), LoraConfig(**settings | options))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.1)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tiny_model, tmp_path_factory.mktemp("adapter"))


def logits(model: Any) -> list[torch.Tensor]:
    with torch.inference_mode():
        return [model.float()(torch.tensor([ids])).logits[0] for ids in PROBES]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_sum_is_exact_and_rounded_once(tiny_model: Path, adapter: Path, dtype: str):
    from peft import PeftModel

    merged, fidelity = merge_lora(tiny_model, adapter, dtype, PROBES)
    assert merged.dtype == getattr(torch, dtype)
    assert not any("lora" in name for name, _ in merged.named_modules())
    assert fidelity["exact"]["max_logit_difference"] < 1e-4
    assert fidelity["exact"]["top1_agreement"] == 1
    rounding = fidelity["rounded"]["max_logit_difference"]
    assert (rounding < 1e-4) if dtype == "float32" else (1e-4 < rounding < 0.1)

    base = load_model(tiny_model, "float32")
    plain = logits(base)
    together = logits(PeftModel.from_pretrained(base, adapter).eval())
    assert compare(plain, together)["max_logit_difference"] > 0.5, "the adapter does something"
    difference = compare(together, logits(merged))["max_logit_difference"]
    assert difference == pytest.approx(rounding, abs=1e-6)


def test_the_weights_are_w_plus_scaled_b_a(tiny_model: Path, adapter: Path):
    from safetensors.torch import load_file

    merged, _ = merge_lora(tiny_model, adapter, "float32", PROBES)
    name = "model.layers.1.mlp.down_proj"
    saved = load_file(adapter / "adapter_model.safetensors")
    a, b = (saved[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    before = load_model(tiny_model, "float32").get_submodule(name).weight
    torch.testing.assert_close(merged.get_submodule(name).weight, before + 8 / 4 * b @ a)


def test_an_adapter_of_another_model(tiny_model: Path, tmp_path: Path):
    import importlib.util

    spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[2] / "conftest.py")
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    tiny.make_tiny_model(tmp_path / "wide", width=128)
    adapter = make_adapter(tmp_path / "wide", tmp_path / "adapter")
    with pytest.raises(MergeError) as caught:
        merge_lora(tiny_model, adapter, "float32", PROBES)
    assert "\n" not in str(caught.value) and str(adapter) in str(caught.value)


def test_logits_compared():
    a = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    assert compare([a], [a]) == {
        "max_logit_difference": 0, "relative_difference": 0, "kl_divergence": 0,
        "top1_agreement": 1,
    }  # fmt: skip
    b = torch.tensor([[1.0, 0.0, 0.0], [3.0, 2.0, 0.0]])
    found = compare([a[:1], a[1:]], [b[:1], b[1:]])
    assert found["max_logit_difference"] == 3
    assert found["relative_difference"] == pytest.approx(3 / 5**0.5)
    assert found["top1_agreement"] == 0.5
    p, q = a[1].softmax(-1), b[1].softmax(-1)
    assert found["kl_divergence"] == pytest.approx(float((p * (p / q).log()).sum()) / 2)
