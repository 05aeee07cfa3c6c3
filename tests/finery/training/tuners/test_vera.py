"""Random matrices and trained vectors."""

from pathlib import Path

from .learning import LINEAR, learn


def test_every_linear_layer_learns(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "vera", "rank": 32}, tiny_model, tmp_path, learning_rate=0.1)
    assert learnt.changed == LINEAR
