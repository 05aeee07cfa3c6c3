"""Models that are read weight by weight are those that transformers loads."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from finery.answering.plain import FAMILIES, load_plain
from finery.inference.loading import load_for_inference

SMALL = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
    "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": [2, 3], "pad_token_id": 0,
}  # fmt: skip


def make(folder: Path, family: str, **settings: Any) -> Path:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **SMALL, **settings))
    model.generation_config.repetition_penalty = 1.3
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="20KB")
    return folder


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_the_model_that_transformers_loads(family: str, tied: bool, tmp_path: Path) -> None:
    rotation = {"rope_type": "linear", "factor": 2.0, "rope_theta": 5000.0}
    folder = make(tmp_path, family, tie_word_embeddings=tied, rope_parameters=rotation)
    assert len(list(folder.glob("*.safetensors"))) > 1
    plain, loaded = load_plain(folder), load_for_inference(folder)
    assert type(plain) is type(loaded) and not plain.training
    for parts in ("named_parameters", "named_buffers"):
        expected = dict(getattr(loaded, parts)())
        found = dict(getattr(plain, parts)())
        assert found.keys() == expected.keys()
        assert all(found[name].equal(each) for name, each in expected.items())
        assert all(found[name].dtype == each.dtype for name, each in expected.items())
    for settings in ("config", "generation_config"):
        assert vars(getattr(plain, settings)) == vars(getattr(loaded, settings))
    head = plain.get_output_embeddings().weight is plain.get_input_embeddings().weight
    assert head is tied


def rename(weights: dict[str, Any]) -> None:
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = weights.pop("model.norm.weight")


def drop(weights: dict[str, Any]) -> None:
    del weights["model.norm.weight"]


def grow(weights: dict[str, Any]) -> None:
    weights["model.norm.weight"] = weights["model.norm.weight"].repeat(2)


@pytest.mark.parametrize("spoil", [rename, drop, grow])
def test_other_weights_are_left_to_transformers(spoil, tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    spoil(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert load_plain(folder) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "mixtral"},
        {"architectures": ["LlamaForSequenceClassification"]},
        {"quantization_config": {"quant_method": "gptq"}},
        {"auto_map": {"AutoModelForCausalLM": "own.Model"}},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_other_models_are_left_to_transformers(
    settings: dict, tiny_model: Path, tmp_path: Path
) -> None:
    config = json.loads((tiny_model / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | settings))
    assert load_plain(tmp_path) is None
