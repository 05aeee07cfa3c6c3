"""GPTQ and AWQ of a tiny model, and the two overrides that GPTQModel needs for it."""

import json
from pathlib import Path

import pytest
import torch

from finery.evaluation.loading import load_for_evaluation
from finery.params.quantize import AwqParams, GptqParams
from finery.quantization.overrides import linear_in_float32, without_clipping
from finery.quantization.quantizer import quantize_model

CALIBRATION = [[1 + (7 * row + column) % 300 for column in range(24)] for row in range(16)]


@pytest.fixture(scope="module")
def quantized(wide_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The 128 wide model in each format, and AWQ with its clipping."""
    folder = tmp_path_factory.mktemp("quantized")
    settings = {
        "gptq": GptqParams(group_size=32),
        "awq": AwqParams(group_size=32),
        "awq-clipped": AwqParams(group_size=32, clip=True),
    }
    for name, params in settings.items():
        quantize_model(wide_model, params, CALIBRATION, folder / name, folder / "work")
    assert not (folder / "work").exists()
    return {name: folder / name for name in settings}


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_the_config_says_how_and_names_no_folder(quantized: dict[str, Path], name: str):
    config = json.loads((quantized[name] / "config.json").read_text())["quantization_config"]
    assert (config["quant_method"], config["bits"], config["group_size"]) == (name, 4, 32)
    assert config["sym"] if name == "gptq" else config["zero_point"]
    written = "".join(file.read_text() for file in quantized[name].glob("*.json"))
    assert str(quantized[name].parent) not in written
    assert not (quantized[name] / "quant_log.csv").exists()


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_four_bits_stay_close_to_the_model(wide_model: Path, quantized: dict[str, Path], name: str):
    dense, four_bits = load_for_evaluation(wide_model), load_for_evaluation(quantized[name])
    expected, actual = _logits(dense), _logits(four_bits)
    difference = ((expected - actual).norm() / expected.norm()).item()
    assert 1e-4 < difference < 0.2


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_evaluated_weights_are_those_of_the_kernel(quantized: dict[str, Path], name: str):
    from gptqmodel import BACKEND, GPTQModel

    backend = BACKEND.AWQ_TORCH if name == "awq" else BACKEND.GPTQ_TORCH
    folder = str(quantized[name])
    kernel = GPTQModel.load(folder, device="cpu", backend=backend, dtype=torch.float16).model
    dequantized = load_for_evaluation(quantized[name])
    torch.testing.assert_close(_logits(dequantized), _logits(kernel).float(), rtol=0.02, atol=0.005)


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_evaluation_compiles_nothing(quantized: dict[str, Path], name: str):
    with torch.compiler.set_stance("fail_on_recompile"):
        load_for_evaluation(quantized[name])


def test_clipping_is_left_out_unless_asked_for(quantized: dict[str, Path]):
    weights = {name: load_for_evaluation(quantized[name]) for name in ("awq", "awq-clipped")}
    plain, clipped = (_logits(model) for model in weights.values())
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


def _logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=torch.tensor(CALIBRATION[:2])).logits
