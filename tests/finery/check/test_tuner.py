"""What a tuner's settings name is in the model, and its numbers fit the layers."""

from pathlib import Path

import pytest

from finery.check.facts import read_model
from finery.check.tuner import tuner_problems
from tests.steps import step

from .conftest import LLAMA, WEIGHTS, change, make, problems

BLOCKS = LLAMA | {"num_hidden_layers": 1}
NEAR_NORM = "did you mean norm or input_layernorm?"


def found(**tuner: object) -> list[str]:
    change(**{"train.sft.tuner": tuner})
    return [line.removeprefix("train.sft.tuner.") for line in problems()]


@pytest.mark.parametrize("tuner", [
    {"type": "lora", "exclude_modules": ["q_proj"], "layers_to_transform": [0]},
    {"type": "lora", "rank_pattern": {"down_proj": 3, "layers.0.mlp.gate_proj": 2}},
    {"type": "lora", "modules_to_save": ["embed_tokens", "lm_head", "norm", "input_layernorm"]},
    {"type": "oft", "block_size": 16, "modules_to_save": ["norm"]},
    {"type": "boft", "block_size": 8, "butterfly_factors": 4},
    {"type": "miss", "init": "bat", "rank": 32},
    {"type": "ia3", "target_modules": ["k_proj", "down_proj"]},
    {"type": "ln_tuning", "target_modules": ["input_layernorm", "norm"]},
    {"type": "freeze", "trainable_layers": -1, "trainable_modules": ["mlp", "q_proj"],
     "extra_modules": ["norm", "embed_tokens", "lm_head"]},
    {"type": "expansion", "blocks": 1},
    {"type": "full"},
])  # fmt: skip
def test_what_fits(tuner: dict, project: Path):
    make(project / "tiny", BLOCKS)
    assert found(**tuner) == []


@pytest.mark.parametrize(("tuner", "said"), [
    ({"type": "lora", "exclude_modules": ["v_porj"]},
     "exclude_modules: v_porj matches no layer of tiny; did you mean q_proj or k_proj?"),
    ({"type": "lora", "rank_pattern": {"dwon_proj": 3}},
     "rank_pattern: dwon_proj matches no layer of tiny; did you mean down_proj or q_proj?"),
    ({"type": "lora", "alpha_pattern": {"gate": 3.0}}, "alpha_pattern: gate matches no layer"),
    ({"type": "lora", "modules_to_save": ["embed_token"]},
     "modules_to_save: embed_token matches no module of tiny; did you mean embed_tokens?"),
    ({"type": "lora", "target_parameters": ["mlp.experts.down_proj"]},
     "target_parameters: mlp.experts.down_proj matches no parameter of tiny; did you mean down_"),
    ({"type": "lora", "layers_to_transform": [0, 3]},
     "layers_to_transform: 3: tiny has 1 blocks, from 0 to 0"),
    ({"type": "vera", "target_modules": ["q_porj"]},
     "target_modules: q_porj matches no layer of tiny; did you mean q_proj or k_proj?"),
    ({"type": "vera", "target_modules": ["lm_head"]},
     "target_modules: lm_head shares one table with the other end of tiny (tied embeddings)"),
    ({"type": "vera", "modules_to_save": ["lm_head"]},
     "modules_to_save: lm_head shares one table with the other end of tiny (tied embeddings),"
     " which only lora keeps as one; leave it out"),
    ({"type": "ia3", "target_modules": ["k_proj", "fc2"], "feedforward_modules": ["fc2"]},
     "feedforward_modules: fc2 matches no layer of tiny; there are down_proj, gate_proj"),
    ({"type": "ln_tuning", "target_modules": ["nrom"]},
     f"target_modules: nrom matches no module of tiny; {NEAR_NORM.partition(' or')[0]}"),
    ({"type": "oft", "block_size": 48},
     "block_size: 48 does not divide the layer widths 64; use 64 or 32 or 16"),
    ({"type": "boft", "block_size": 8, "butterfly_factors": 5},
     "block_size: 128 does not divide the layer widths 64; use 64 or 32 or 16"),
    ({"type": "miss", "init": "bat", "rank": 40}, "rank: 40 does not divide the layer widths 64"),
    ({"type": "miss", "rank": 65}, "rank: 65 is beyond the width of a layer, 64"),
    ({"type": "fourierft", "n_frequency": 4097}, "n_frequency: 4097 is beyond the 4096 of a layer"),
    ({"type": "freeze", "trainable_layers": 2}, "trainable_layers: 2: tiny has 1 blocks"),
    ({"type": "freeze", "trainable_layers": -2}, "trainable_layers: -2: tiny has 1 blocks"),
    ({"type": "freeze", "trainable_layers": 1, "trainable_modules": ["mpl"]},
     "trainable_modules: mpl matches no module in the blocks of tiny; did you mean mlp?"),
    ({"type": "freeze", "trainable_layers": 1, "extra_modules": ["q_proj"]},
     "extra_modules: q_proj matches no module outside the blocks of tiny; there are"),
    ({"type": "expansion", "blocks": 2},
     "blocks: 2: tiny has 1 blocks; put in no more than that"),
])  # fmt: skip
def test_what_does_not(tuner: dict, said: str, project: Path):
    make(project / "tiny", BLOCKS)
    (line,) = {line for line in found(**tuner) if not line.startswith("target_modules: fc2")}
    assert line.startswith(said), line


def test_blocks_that_earlier_steps_put_in_count(project: Path):
    model = read_model(make(project / "tiny", BLOCKS))
    tuner = step(tuner={"type": "freeze", "trainable_layers": 3}).tuner
    assert tuner_problems(model, tuner, 2) == []
    assert tuner_problems(model, tuner, 1) == [
        f"trainable_layers: 3: {project / 'tiny'} has 1 blocks and 1 that were put in"
    ]


def test_no_model_yet_nothing_to_say(project: Path):
    assert found(type="oft", block_size=48) == []


def test_experts_of_a_checkpoint_that_has_them_one_by_one(project: Path):
    name = "model.layers.0.mlp.experts.0.up_proj.weight"
    model = read_model(make(project / "tiny", BLOCKS, WEIGHTS | {name: (64, 64)}))
    tuner = step(tuner={"type": "lora", "target_parameters": ["mlp.experts.gate_up_proj"]}).tuner
    assert tuner_problems(model, tuner) == []
