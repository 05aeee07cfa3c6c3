"""Rotations in butterfly factors."""

from pathlib import Path

from .learning import LINEAR, learn


def test_every_linear_layer_learns(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "boft", "block_size": 4, "butterfly_factors": 2}, tiny_model, tmp_path)
    assert learnt.changed == LINEAR
