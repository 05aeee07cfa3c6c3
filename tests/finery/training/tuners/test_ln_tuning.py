"""The norms alone."""

from pathlib import Path

from .learning import NORMS, layer, learn


def test_every_norm_learns(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "ln_tuning"}, tiny_model, tmp_path, learning_rate=0.1)
    assert learnt.changed == layer(0, NORMS) | layer(1, NORMS) | {"model.norm.weight"}
