"""GPTQ in other bits and groups, without a middle, and of some layers otherwise."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finery.inference.loading import load_for_inference
from finery.models.group_size import group_size, resolved, undivided
from finery.models.layer_widths import layer_widths
from finery.models.tensors import tensors
from finery.params.quantize import AwqParams, GptqParams
from finery.quantization.fitting import UnfitError
from finery.quantization.quantizer import quantize_model

LAYER = "model.layers.{}.{}"


def test_single_layers_have_bits_and_groups_of_their_own(
    wide_model: Path, rows: list[list[int]], tmp_path: Path
) -> None:
    params = GptqParams.model_validate(
        {
            "bits": 3,
            "group_size": "auto",
            "sym": False,
            "exclude": [r"layers\.0\..*down_proj"],
            "layers": {"q_proj": {"bits": 8, "group_size": -1}, "o_proj": {"group_size": 32}},
        }
    )
    params = resolved(params, layer_widths(tensors(wide_model)))
    assert params.group_size == 128
    quantize_model(wide_model, params, rows, tmp_path / "out", tmp_path / "work")
    said = json.loads((tmp_path / "out/config.json").read_text())["quantization_config"]
    assert (said["bits"], said["group_size"], said["sym"]) == (3, 128, False)
    found = load_file(tmp_path / "out/model.safetensors")
    assert LAYER.format(0, "mlp.down_proj.weight") in found
    assert LAYER.format(1, "mlp.down_proj.weight") not in found
    kinds = {"self_attn.q_proj": (8, 1), "self_attn.o_proj": (3, 4), "mlp.up_proj": (3, 1)}
    for layer, (bits, groups) in kinds.items():
        name = LAYER.format(0, layer)
        assert found[f"{name}.qweight"].shape[0] == 128 * bits // 32
        assert found[f"{name}.scales"].shape[0] == groups
    with torch.inference_mode():
        expected, actual = (
            load_for_inference(folder)(input_ids=torch.tensor(rows[:2])).logits
            for folder in (wide_model, tmp_path / "out")
        )
    assert 1e-3 < ((expected - actual).norm() / expected.norm()).item() < 0.3


def test_a_pattern_of_no_layer(wide_model: Path, rows: list[list[int]], tmp_path: Path) -> None:
    params = GptqParams(group_size=32, exclude=["q_proj", "dwon_proj"])
    with pytest.raises(UnfitError, match=r"^quantize\.gptq\.exclude\.1: no layer is called so; "):
        quantize_model(wide_model, params, rows, tmp_path / "out", tmp_path / "work")


@pytest.mark.parametrize(
    ("params", "widths", "size"),
    [
        (GptqParams(group_size="auto"), {"a": 576, "b": 1536}, 64),
        (GptqParams(group_size="auto"), {"a": 48, "b": 128}, 16),
        (GptqParams(group_size="auto", exclude=["a"]), {"a": 48, "b": 128}, 128),
        (GptqParams(group_size="auto"), {"a": 40}, None),
        (AwqParams(group_size="auto"), {"a": 48}, None),
        (AwqParams(group_size="auto"), {"a": 96}, 32),
    ],
)
def test_the_largest_group_that_divides(
    params: GptqParams | AwqParams, widths: dict[str, int], size: int | None
) -> None:
    assert group_size(params, widths) == size
    assert resolved(params, widths).group_size == (size or "auto")
    assert bool(list(undivided(params, widths))) == (size is None)


def test_groups_of_single_layers_are_asked_for_too() -> None:
    params = GptqParams.model_validate({"group_size": -1, "layers": {"b": {"group_size": 64}}})
    assert list(undivided(params, {"a": 33, "b": 96})) == [("b", 96, 64)]
