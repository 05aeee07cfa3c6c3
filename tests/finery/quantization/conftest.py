"""What several tests look at, quantized once."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from finery.params.quantize import AwqParams, GptqParams
from finery.quantization.apart import quantize_apart
from finery.quantization.quantizer import quantize_model
from tests.conftest import ROWS


@pytest.fixture(scope="session")
def rows() -> list[list[int]]:
    """16 calibration samples of 24 tokens."""
    return ROWS


@pytest.fixture(scope="session")
def quantized(
    wide_model: Path,
    packed: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[int]],
) -> dict[str, Path]:
    """The 128 wide model in each format, and AWQ with its clipping."""
    folder = tmp_path_factory.mktemp("quantized")
    params = AwqParams(group_size=32, clip=True)
    assert quantize_model(wide_model, params, rows, folder / "awq", folder / "work") == []
    return packed | {"awq-clipped": folder / "awq"}


@pytest.fixture(scope="session")
def half_model(wide_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 128 wide model in float16."""
    folder = tmp_path_factory.mktemp("half") / "model"
    rewrite(wide_model, folder, torch.float16)
    return folder


@pytest.fixture(scope="session")
def quantized_half(
    half_model: Path, tmp_path_factory: pytest.TempPathFactory, rows: list[list[int]]
) -> dict[str, Path]:
    """The float16 model in each format, by a process of its own."""
    folder = tmp_path_factory.mktemp("quantized-half")
    for name, params in (("gptq", GptqParams(group_size=32)), ("awq", AwqParams(group_size=32))):
        out, log = folder / name, folder / f"{name}.log"
        assert quantize_apart(half_model, params, rows, out, folder / "work", log) == []
        assert "Quantizing layer 1 of 1" in log.read_text()
    assert not (folder / "work").exists()
    return {name: folder / name for name in ("gptq", "awq")}


def rewrite(model: Path, folder: Path, dtype: torch.dtype, **factors: float) -> None:
    """A copy of a model in another type; weights whose name has a key of `factors` multiplied."""
    from transformers import AutoModelForCausalLM

    shutil.copytree(model, folder)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    for name, weight in loaded.named_parameters():
        for key, factor in factors.items():
            if key in name:
                weight.data *= factor
    loaded.to(dtype).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["dtype"] == str(dtype)[6:]
