"""A weight that is no number is named by file and tensor."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from finery.models.finite import WeightError, insist_on_numbers, no_number

TYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn)


def save(folder: Path, name: str, **tensors: torch.Tensor) -> None:
    save_file(tensors, folder / name)


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_pass(tmp_path: Path, dtype: torch.dtype):
    weights = {"a": torch.tensor([[1.0, -2.0], [0.0, 400.0]]).to(dtype)}
    save(tmp_path, "model.safetensors", **weights, qweight=torch.tensor([2**31 - 1, -1]))
    insist_on_numbers(tmp_path, "")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", TYPES)
def test_none_is_named(tmp_path: Path, dtype: torch.dtype, value: float):
    broken = torch.ones(3, 5).to(dtype)
    broken[2, 4] = value if dtype != torch.float8_e4m3fn else math.nan  # that has no infinity
    save(tmp_path, "model-00001-of-00002.safetensors", first=torch.ones(2))
    save(tmp_path, "model-00002-of-00002.safetensors", fine=torch.ones(2), lower=broken)
    file = tmp_path / "model-00002-of-00002.safetensors"
    assert no_number(tmp_path) == (file, "lower")
    with pytest.raises(WeightError) as error:
        insist_on_numbers(tmp_path, "take another")
    assert error.value.exit_status == 2
    assert str(error.value) == f"{file}: lower holds NaN or infinity; take another"


def test_no_weights_no_complaint(tmp_path: Path):
    assert no_number(tmp_path) is None
