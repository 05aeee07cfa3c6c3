"""Shards that share what is added to them."""

from pathlib import Path

from .learning import LINEAR, learn


def test_every_linear_layer_learns(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "miss", "rank": 8}, tiny_model, tmp_path)
    assert learnt.changed == LINEAR
