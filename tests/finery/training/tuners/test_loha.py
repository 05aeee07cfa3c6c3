"""Hadamard products of low rank."""

from pathlib import Path

from .learning import LINEAR, learn


def test_every_linear_layer_learns(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "loha", "rank": 4, "module_dropout": 0.2}, tiny_model, tmp_path)
    assert learnt.changed == LINEAR
