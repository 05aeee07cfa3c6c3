"""A chain of reflections."""

from pathlib import Path

from .learning import LINEAR, learn


def test_every_linear_layer_learns(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "hra", "rank": 4}, tiny_model, tmp_path, learning_rate=0.1)
    assert learnt.changed == LINEAR
