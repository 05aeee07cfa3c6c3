"""Adapters of low rank, with all that can be set of them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finery.training.start import built
from tests.steps import step

from .learning import BLOCK, LINEAR, SETTINGS, layer, learn, samples

ATTENTION, MLP = BLOCK[:4], BLOCK[4:]


@pytest.mark.parametrize(
    "settings, changed",
    [
        ({"dropout": 0.2}, LINEAR),
        ({"use_dora": True, "dropout": 0.2}, LINEAR),
        ({"use_rslora": True, "rank_pattern": {"down_proj": 8}, "alpha_pattern": {"q_proj": 2}},
         LINEAR),
        ({"init": "gaussian", "layers_to_transform": [1]}, layer(1, BLOCK)),
        ({"init": "orthogonal", "exclude_modules": ["q_proj", "mlp.up_proj"],
          "layers_to_transform": [0]},
         layer(0, ("self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                   "mlp.down_proj"))),
        ({"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [1],
          "loraplus_lr_ratio": 16},
         layer(1, ("self_attn.q_proj", "self_attn.v_proj"))),
        ({"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
         layer(0, ("self_attn.q_proj",)) | layer(1, ("self_attn.q_proj",))
         | {"model.embed_tokens.weight"}),
    ],
    ids=["plain", "dora", "rslora", "gaussian", "orthogonal", "lora+", "modules_to_save"],
)  # fmt: skip
def test_what_learns(settings: dict, changed: set[str], tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "lora", "rank": 4} | settings, tiny_model, tmp_path)
    assert learnt.changed == changed
    assert json.loads((learnt.merged / "config.json").read_text())["tie_word_embeddings"] is True


@pytest.mark.parametrize("settings", [
    {"init": "pissa"},
    {"init": "pissa_niter_4", "rank_pattern": {"down_proj": 2, "layers.1.mlp.up_proj": 6}},
    {"init": "olora", "use_rslora": True, "alpha_pattern": {"q_proj": 2}},
    {"init": "pissa", "use_dora": True},
])  # fmt: skip
def test_a_part_of_the_model_becomes_a_plain_adapter(
    settings: dict, tiny_model: Path, tmp_path: Path
):
    learnt = learn({"type": "lora", "rank": 4} | settings, tiny_model, tmp_path)
    assert learnt.changed == LINEAR
    config = json.loads((learnt.adapter / "adapter_config.json").read_text())
    assert config["init_lora_weights"] is True and config["use_rslora"] is False
    weights = load_file(learnt.adapter / "adapter_model.safetensors")
    ranks = {len(weight) for name, weight in weights.items() if "lora_A" in name}
    assert ranks == ({4, 8, 12} if "rank_pattern" in settings else {8})


def test_b_learns_faster_by_loraplus(tiny_model: Path, tmp_path: Path):
    data = samples(tmp_path / "data")
    tuner = {"type": "lora", "rank": 2, "loraplus_lr_ratio": 8}
    trainer = built(step(**SETTINGS | {"tuner": tuner}), tiny_model, data, tmp_path / "checkpoints")
    groups = trainer.optimizer.param_groups
    rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    found = {name: rates[id(w)] for name, w in trainer.model.named_parameters() if w.requires_grad}
    assert len(found) == 28
    for name, rate in found.items():
        assert rate == pytest.approx(8e-2 if "lora_B" in name else 1e-2), name


def test_the_experts_of_a_model(tmp_path: Path):
    experts = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    learnt = learn(
        {"type": "lora", "rank": 8, "target_modules": ["q_proj"], "target_parameters": experts},
        mixture(tmp_path / "base"), tmp_path, learning_rate=0.03, num_train_epochs=6,
    )  # fmt: skip
    names = [f"model.layers.0.{name}" for name in (*experts, "self_attn.q_proj.weight")]
    assert learnt.changed == set(names)


def mixture(folder: Path) -> Path:
    """A model of one block with four experts, and the tokenizer that the tests have."""
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    from tests.conftest import make_tiny_model

    make_tiny_model(folder)
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, head_dim=16, num_experts=4,
        num_experts_per_tok=2, moe_intermediate_size=32, max_position_embeddings=128,
    )  # fmt: skip
    (folder / "model.safetensors").unlink()
    Qwen3MoeForCausalLM(config).save_pretrained(folder)
    return folder
