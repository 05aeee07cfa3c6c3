"""Only the layers that are named are trained."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from finery.models.scoring import load_scorer
from finery.training.start import load_start
from tests.finery.training.methods.test_reward import BASIC as REWARD
from tests.finery.training.methods.test_reward import merged, write_pairs
from tests.resuming import trained
from tests.steps import step

from .learning import layer, learn

MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


def test_the_last_block_and_the_norm_after_it_learn(tiny_model: Path, tmp_path: Path):
    tuner = {"type": "freeze", "trainable_layers": 1, "extra_modules": ["model.norm"]}
    learnt = learn(tuner, tiny_model, tmp_path)
    assert learnt.changed == layer(1) | {"model.norm.weight"}
    assert set(load_file(learnt.adapter / "trained.safetensors")) == learnt.changed


@pytest.mark.parametrize("settings, expected", [
    ({}, layer(0) | layer(1)),
    ({"trainable_layers": -1}, layer(0)),
    ({"trainable_layers": -1, "trainable_modules": ["mlp"]}, layer(0, MLP)),
    ({"trainable_modules": ["q_proj", "up_proj"]},
     layer(0, ("self_attn.q_proj", "mlp.up_proj")) | layer(1, ("self_attn.q_proj", "mlp.up_proj"))),
    ({"trainable_layers": 0, "extra_modules": ["norm"]}, {"model.norm.weight"}),
    # One table with the input: tied.
    ({"trainable_layers": 0, "extra_modules": ["lm_head"]}, {"model.embed_tokens.weight"}),
    ({"trainable_layers": 1, "extra_modules": ["mlp"]}, layer(1)),
])  # fmt: skip
def test_what_is_trained(settings: dict, expected: set[str], tiny_model: Path):
    params = step(tuner={"type": "freeze"} | settings)
    model = load_start(params, tiny_model, "bfloat16")
    trained = {name: w.dtype for name, w in model.named_parameters() if w.requires_grad}
    assert set(trained) == expected
    assert {str(dtype) for dtype in trained.values()} == {"torch.float32"}
    frozen = {str(w.dtype) for w in model.parameters() if not w.requires_grad}
    assert frozen == {"torch.bfloat16"}


def test_a_reward_model_learns_its_head_too(tiny_model: Path, tmp_path: Path):
    data = write_pairs(tmp_path / "data")
    tuner = {"type": "freeze", "trainable_layers": 1, "trainable_modules": ["mlp"]}
    params = step(**REWARD | {"tuner": tuner, "num_train_epochs": 1})
    trained(params, tiny_model, data, tmp_path / "out", tmp_path / "checkpoints")
    left = load_file(tmp_path / "out/adapter/trained.safetensors")
    assert set(left) == layer(1, MLP) | {"score.weight"}
    merged(tiny_model, tmp_path / "out/adapter", data, tmp_path / "model")
    model = load_scorer(tmp_path / "model", "float32")
    for name, weight in left.items():
        assert model.get_parameter(name).equal(weight)
