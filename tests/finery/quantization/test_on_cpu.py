"""What is done for a CPU gives the very weights that GPTQModel finds by itself, or as good ones."""

import math
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finery.inference.loading import load_for_inference
from finery.params.quantize import AwqParams, GptqParams
from finery.quantization import on_cpu, quantizer
from finery.quantization.on_cpu import KEPT, _in_float32, _least, _Products, _without
from finery.quantization.quantizer import quantize_model

WAYS = ("gptq_by_blocks", "each_product_once", "awq_by_halving")


@pytest.fixture
def by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """GPTQModel as it is, but for the float32 products."""
    for way in WAYS:
        monkeypatch.setattr(quantizer, way, nullcontext)


@pytest.mark.parametrize("width", ["tiny_model", "wide_model"])
@pytest.mark.parametrize("desc_act", [False, True])
def test_gptq_finds_the_same_bytes(
    width: str,
    desc_act: bool,
    rows: list[list[int]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
):
    model = request.getfixturevalue(width)
    params = GptqParams(group_size=32, desc_act=desc_act)
    quantize_model(model, params, rows, tmp_path / "ours", tmp_path / "work")
    request.getfixturevalue("by_itself")
    quantize_model(model, params, rows, tmp_path / "its", tmp_path / "work")
    ours, its = (load_file(tmp_path / name / "model.safetensors") for name in ("ours", "its"))
    assert ours.keys() == its.keys()
    assert all(torch.equal(ours[name], its[name]) for name in its)


def test_awq_finds_weights_as_good(
    wide_model: Path,
    quantized: dict[str, Path],
    rows: list[list[int]],
    tmp_path: Path,
    by_itself: None,
):
    quantize_model(wide_model, AwqParams(group_size=32), rows, tmp_path / "its", tmp_path / "work")
    dense = _logits(load_for_inference(wide_model), rows)
    ours, its = (
        (_logits(load_for_inference(folder), rows) - dense).norm().item()
        for folder in (quantized["awq"], tmp_path / "its")
    )
    assert 0 < ours < 1.1 * its


def test_a_block_of_columns_is_rounded_as_one_by_one():
    torch.manual_seed(0)
    rows, columns, group = 48, 40, 16
    work, x = torch.randn(rows, columns), torch.randn(200, columns)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(x.T @ x + torch.eye(columns)))
    hinv = torch.linalg.cholesky(inverse, upper=True)
    scale, zero = torch.rand(3, rows) + 0.1, torch.full((3, rows), 8.0)
    groups = torch.arange(columns) // group
    found = [torch.zeros_like(work) for _ in range(3)]
    on_cpu.block_update(work, hinv, scale, zero, groups.int(), *found, 15)
    expected, left = torch.zeros_like(work), work.clone()
    for i, g in enumerate(groups.tolist()):
        q = (left[:, i] / scale[g]).round().add(zero[g]).clamp(0, 15).sub(zero[g]) * scale[g]
        error = (left[:, i] - q) / hinv[i, i]
        expected[:, i] = q
        left[:, i:] -= error.unsqueeze(1) * hinv[i, i:]
        assert torch.equal(found[1][:, i], error)
    assert torch.equal(found[0], expected)
    torch.testing.assert_close(found[2], found[1].square())


def test_another_gptqmodel_is_refused():
    with pytest.raises(RuntimeError, match="_without is another: it does not ask 'on_mars'"):
        _without(_without, ("on_mars",), vars(on_cpu))


@pytest.mark.parametrize("lowest", range(20))
def test_the_least_of_a_valley_is_found_in_nine_looks(lowest: int):
    looks: list[int] = []

    def loss(ratio: int) -> float:
        looks.append(ratio)
        return abs(ratio - lowest + 0.1)

    assert _least(loss) == (lowest, pytest.approx(0.1))
    assert len(set(looks)) == len(looks) <= 9


def test_what_is_no_number_is_never_the_least():
    assert _least(lambda ratio: math.nan if ratio < 8 else float(ratio)) == (8, 8.0)
    with pytest.raises(ArithmeticError, match="NaN for every scale"):
        _least(lambda _: math.nan)


def test_after_the_search_the_weights_are_the_same_tensors():
    layer = torch.nn.Linear(8, 8).to(torch.bfloat16)
    before, copy = layer.weight.data, layer.weight.data.clone()
    with _in_float32(layer):
        assert layer.weight.dtype == torch.float32
        layer.weight.data.mul_(2)
    assert layer.weight.data.data_ptr() == before.data_ptr()
    assert torch.equal(layer.weight, copy)


def test_a_product_is_taken_again_only_for_other_numbers():
    taken: list[int] = []

    def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        taken.append(1)
        return torch.nn.functional.linear(x, weight, bias)

    products, x, weight = _Products(linear), torch.randn(3, 4), torch.randn(5, 4)
    first = products(x, weight)
    expected = first.clone()
    first.zero_()  # whoever has it may write into it
    assert torch.equal(products(x.clone(), weight), expected)
    assert len(taken) == 1
    weight[0, 0] += 1
    assert not torch.equal(products(x, weight), expected)
    x[0, 0] += 1
    products(x, weight, torch.zeros(5))
    assert len(taken) == 3
    products.unread = True
    assert torch.equal(products(x, weight), torch.zeros(3, 5))
    assert len(taken) == 3


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(on_cpu, "KEPT", 1000)
    products = _Products(torch.nn.functional.linear)
    for _ in range(5):
        products(torch.randn(3, 4), torch.randn(5, 4))
    assert 0 < products._bytes <= 1000 < KEPT
    assert products._bytes == len(products._kept) * 4 * (12 + 20 + 15)


def _logits(model: torch.nn.Module, rows: list[list[int]]) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=torch.tensor(rows[:2])).logits
