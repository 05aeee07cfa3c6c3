"""Sums of random matrices."""

from pathlib import Path

from .learning import LINEAR, learn


def test_every_linear_layer_learns(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "randlora", "rank": 4, "alpha": 8}, tiny_model, tmp_path)
    assert learnt.changed == LINEAR
