"""A merged model is base + adapter, or there is no merged model."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from finery.merging.fidelity import NOISE, MergeError, compare
from finery.merging.lora import merge_lora
from finery.merging.room import RoomError
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


def scaled(base: Path, folder: Path, factors: dict[str, float], dtype: str = "float32") -> Path:
    """A copy of a model, the weights whose name ends in a key multiplied."""
    shutil.copytree(base, folder)
    model = load_model(base, "float32")
    for name, weight in model.named_parameters():
        for key, factor in factors.items():
            if name.endswith(f"{key}.weight"):
                weight.data *= factor
    model.to(getattr(torch, dtype)).save_pretrained(folder)
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


def test_a_divergence_is_never_negative_and_no_number_stays_none():
    torch.manual_seed(0)
    below = 0
    for _ in range(50):
        a = torch.randn(20, 400)
        b = a + 1e-7 * torch.randn(20, 400)
        p, q = a.log_softmax(-1), b.log_softmax(-1)
        below += (p.exp() * (p - q)).sum(-1).mean().item() < 0
        assert compare([a], [b])["kl_divergence"] >= 0
    assert below, "rounding took none below zero: these are no examples"
    a[0, 0] = math.nan
    assert math.isnan(compare([a], [b])["kl_divergence"])


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4, 1e6])
def test_right_merges_pass_whatever_the_size_of_the_logits(
    tiny_model: Path, tmp_path: Path, size: float
):
    base = scaled(tiny_model, tmp_path / "base", {"model.norm": size})
    adapter = make_adapter(base, tmp_path / "adapter")
    _, fidelity = merge_lora(base, adapter, "float32", PROBES)
    assert fidelity["exact"]["relative_difference"] < NOISE / 5
    largest = fidelity["exact"]["max_logit_difference"]
    assert largest > 1e-3 if size > 1e3 else largest < 1e-3


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4, 1e6])
def test_wrong_merges_are_refused_whatever_the_size_of_the_logits(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: float
):
    """As wrong as a hundredth of the adapter missing from one of the 14 layers it is in."""
    from peft.tuners.lora import Linear

    whole = Linear.get_delta_weight

    def lacking(self: Linear, name: str) -> torch.Tensor:
        delta = whole(self, name)
        return 0.99 * delta if self.out_features == 128 else delta

    base = scaled(tiny_model, tmp_path / "base", {"model.norm": size})
    adapter = make_adapter(base, tmp_path / "adapter")
    monkeypatch.setattr(Linear, "get_delta_weight", lacking)
    with pytest.raises(MergeError, match=r"^merging changed the logits by .* of their size") as no:
        merge_lora(base, adapter, "float32", PROBES)
    assert no.value.exit_status == 1 and "\n" not in str(no.value)


@pytest.mark.parametrize("kept", [0.0, 1.0])
def test_an_adapter_that_does_little_has_to_be_in_the_sum_too(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: float
):
    from peft.tuners.lora import Linear

    whole = Linear.get_delta_weight
    adapter = make_adapter(tiny_model, tmp_path / "adapter", lora_alpha=0.0005)
    monkeypatch.setattr(Linear, "get_delta_weight", lambda *which: kept * whole(*which))
    if kept:
        _, fidelity = merge_lora(tiny_model, adapter, "float32", PROBES)
        assert fidelity["exact"]["relative_difference"] < 1e-6
    else:
        with pytest.raises(MergeError, match=r"^merging changed the logits") as error:
            merge_lora(tiny_model, adapter, "float32", PROBES)
        assert 2**-16 < float(str(error.value).split()[5]) < 2**-12


@pytest.mark.parametrize("dtype, wider", [("float16", "bfloat16 or float32")])
@pytest.mark.parametrize(
    "factors, what",
    [
        ({"layers.1.mlp.up_proj": 1e7}, "the weight model.layers.1.mlp.up_proj.weight does not"),
        (
            {"layers.0.mlp.up_proj": 1e4, "layers.0.mlp.gate_proj": 1e4},
            "what model.layers.0.mlp.down_proj computes on the samples does not fit",
        ),
    ],
)
def test_a_type_that_is_too_small_says_which_to_take(
    tiny_model: Path, tmp_path: Path, dtype: str, wider: str, factors: dict, what: str
):
    base = scaled(tiny_model, tmp_path / "base", factors)
    adapter = make_adapter(base, tmp_path / "adapter")
    with pytest.raises(RoomError) as error:
        merge_lora(base, adapter, dtype, PROBES)
    said = str(error.value)
    assert said.startswith(f"merge.dtype: {dtype} is too small for this model: {what}")
    assert said.endswith(f"; set it to {wider}") and error.value.exit_status == 1
    for roomy in ("bfloat16", "float32"):
        _, fidelity = merge_lora(base, adapter, roomy, PROBES)
        assert all(map(math.isfinite, fidelity["rounded"].values()))


def test_float16_takes_what_fits_it(tiny_model: Path, adapter: Path):
    merged, fidelity = merge_lora(tiny_model, adapter, "float16", PROBES)
    assert merged.dtype == torch.float16
    assert 0 < fidelity["rounded"]["relative_difference"] < 2**-10


def test_logits_that_are_no_numbers(tiny_model: Path, adapter: Path, tmp_path: Path):
    base = scaled(tiny_model, tmp_path / "base", {"gate_proj": 1e30, "up_proj": 1e30})
    with pytest.raises(MergeError, match="gives logits that are NaN or infinite; train with"):
        merge_lora(base, adapter, "float32", PROBES)


def test_an_adapter_whose_weights_are_not_all_there(
    tiny_model: Path, adapter: Path, tmp_path: Path
):
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    weights = load_file(file)
    del weights[next(name for name in weights if "lora_B" in name)]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(MergeError, match=r"adapter does not fit .*; train it again"):
        merge_lora(tiny_model, tmp_path / "adapter", "float32", PROBES)


def test_an_adapter_of_another_architecture(tiny_model: Path, adapter: Path, tmp_path: Path):
    shutil.copytree(adapter, tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_config.json"
    config = json.loads(file.read_text()) | {"target_modules": ["c_attn"]}
    file.write_text(json.dumps(config))
    with pytest.raises(MergeError, match="adapter does not fit"):
        merge_lora(tiny_model, tmp_path / "adapter", "float32", PROBES)
