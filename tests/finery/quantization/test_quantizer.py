"""GPTQ and AWQ of a tiny model, and the overrides that GPTQModel needs for it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from finery.inference.loading import load_for_inference
from finery.quantization.overrides import linear_in_float32, without_clipping
from finery.quantization.quantizer import QuantizerError, _unseen


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_the_config_says_how_and_names_no_folder(quantized: dict[str, Path], name: str):
    config = json.loads((quantized[name] / "config.json").read_text())["quantization_config"]
    assert (config["quant_method"], config["bits"], config["group_size"]) == (name, 4, 32)
    assert config["sym"] if name == "gptq" else config["zero_point"]
    written = "".join(file.read_text() for file in quantized[name].glob("*.json"))
    assert str(quantized[name].parent) not in written
    assert not (quantized[name] / "quant_log.csv").exists()


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_four_bits_stay_close_to_the_model(
    wide_model: Path, quantized: dict[str, Path], rows: list[list[int]], name: str
):
    dense, four_bits = load_for_inference(wide_model), load_for_inference(quantized[name])
    expected, actual = _logits(dense, rows), _logits(four_bits, rows)
    difference = ((expected - actual).norm() / expected.norm()).item()
    assert 1e-4 < difference < 0.2


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_evaluated_weights_are_those_of_the_kernel(
    quantized: dict[str, Path], rows: list[list[int]], name: str
):
    from gptqmodel import BACKEND, GPTQModel

    backend = BACKEND.AWQ_TORCH if name == "awq" else BACKEND.GPTQ_TORCH
    folder = str(quantized[name])
    kernel = GPTQModel.load(folder, device="cpu", backend=backend, dtype=torch.float16).model
    dequantized = load_for_inference(quantized[name])
    expected, actual = _logits(kernel, rows).float(), _logits(dequantized, rows)
    torch.testing.assert_close(actual, expected, rtol=0.02, atol=0.005)


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_dense_weights_beyond_float16_are_evaluated_as_they_are(
    quantized: dict[str, Path], rows: list[list[int]], tmp_path: Path, name: str
):
    shutil.copytree(quantized[name], tmp_path / "large")
    weights = load_file(tmp_path / "large" / "model.safetensors")
    weights["model.norm.weight"] *= 2.0**20
    save_file(weights, tmp_path / "large" / "model.safetensors", {"format": "pt"})
    usual, large = load_for_inference(quantized[name]), load_for_inference(tmp_path / "large")
    torch.testing.assert_close(_logits(large, rows), 2.0**20 * _logits(usual, rows))


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_evaluation_compiles_nothing(quantized: dict[str, Path], name: str):
    with torch.compiler.set_stance("fail_on_recompile"):
        load_for_inference(quantized[name])


def test_clipping_is_left_out_unless_asked_for(quantized: dict[str, Path], rows: list[list[int]]):
    weights = {name: load_for_inference(quantized[name]) for name in ("awq", "awq-clipped")}
    plain, clipped = (_logits(model, rows) for model in weights.values())
    assert not torch.equal(plain, clipped)


def test_no_clipping_inside_and_the_search_again_outside():
    from gptqmodel.looper.awq_processor import AWQProcessor

    search = AWQProcessor._search_best_clip
    with without_clipping():
        assert AWQProcessor._search_best_clip(None, None, {}, {}) == []
    assert AWQProcessor._search_best_clip is search


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_products_are_taken_in_float32_and_rounded_once(dtype: torch.dtype):
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 32).to(dtype)
    x = torch.randn(5, 64).to(dtype)
    exact = (x.float() @ layer.weight.float().T + layer.bias.float()).to(dtype)
    linear = torch.nn.functional.linear
    with linear_in_float32():
        torch.testing.assert_close(layer(x), exact, rtol=0, atol=0)
        wide = torch.nn.Linear(64, 32)
        assert wide(x.float()).dtype == torch.float32
    assert torch.nn.functional.linear is linear


@pytest.mark.parametrize("name", ["gptq", "awq"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_what_stays_dense_has_the_type_of_the_model(
    quantized: dict[str, Path], quantized_half: dict[str, Path], name: str, dtype: str
):
    folder = {"bfloat16": quantized, "float16": quantized_half}[dtype][name]
    assert json.loads((folder / "config.json").read_text())["dtype"] == dtype
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        types = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    dense = {t for name, t in types.items() if t.is_floating_point and "scales" not in name}
    assert dense == {getattr(torch, dtype)}
    assert {"model.embed_tokens.weight", "model.norm.weight"} <= types.keys()
    # GPTQ's files have had scales in float16 from the beginning, whatever the model is in.
    scales = {t for name, t in types.items() if name.endswith(".scales")}
    assert scales == {torch.float16 if name == "gptq" else getattr(torch, dtype)}


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_float16_answers_as_its_model_does(
    half_model: Path, quantized_half: dict[str, Path], rows: list[list[int]], name: str
):
    dense, four_bits = load_for_inference(half_model), load_for_inference(quantized_half[name])
    expected, actual = _logits(dense, rows), _logits(four_bits, rows)
    assert 1e-4 < ((expected - actual).norm() / expected.norm()).item() < 0.2


def test_layers_that_nothing_came_by_and_those_given_up():
    seen = {"layer": 0, "module": "mlp.up_proj", "loss": "0.00004", "samples": "384"}
    expert = seen | {"module": "mlp.experts.3.up_proj"}
    records = [
        seen,
        seen | {"loss": "not applicable", "activation_raw_tokens": 384},
        expert | {"loss": "fallback(rtn): 0.0016", "samples": "0"},
        expert | {"loss": "not applicable", "activation_raw_tokens": 0},
    ]
    assert _unseen(records) == ["layer 1, mlp.experts.3.up_proj"] * 2
    with pytest.raises(
        QuantizerError, match=r"^layer 1, mlp\.up_proj: what comes into it is NaN or"
    ):
        _unseen([seen | {"loss": "rtn fallback"}])


def _logits(model: torch.nn.Module, rows: list[list[int]]) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=torch.tensor(rows[:2])).logits
