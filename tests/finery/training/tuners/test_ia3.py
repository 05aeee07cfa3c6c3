"""Vectors that scale what layers compute."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.steps import step

from .learning import layer, learn


def test_keys_values_and_inner_activations_learn(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "ia3"}, tiny_model, tmp_path, learning_rate=0.1)
    scaled = ("self_attn.k_proj", "self_attn.v_proj", "mlp.down_proj")
    assert learnt.changed == layer(0, scaled) | layer(1, scaled)


def test_feedforward_modules_are_target_modules():
    with pytest.raises(ValidationError, match="up_proj must be in target_modules too"):
        step(tuner={"type": "ia3", "feedforward_modules": ["down_proj", "up_proj"]})
