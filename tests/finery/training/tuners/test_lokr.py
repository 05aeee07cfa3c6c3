"""Kronecker products of low rank."""

from pathlib import Path

from .learning import LINEAR, learn


def test_every_linear_layer_learns(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "lokr", "rank": 4, "decompose_factor": 8}, tiny_model, tmp_path)
    assert learnt.changed == LINEAR
