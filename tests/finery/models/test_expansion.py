"""A model with blocks that add nothing computes what it did."""

from pathlib import Path

import pytest
import torch

from finery.models.expansion import ExpansionError, expand
from finery.models.load import load_model

KINDS = {
    "gpt2": {"n_embd": 32, "n_layer": 4, "n_head": 2, "n_positions": 64},
    "qwen3": {"layer_types": ["sliding_attention", "full_attention"] * 2, "head_dim": 16,
              "use_sliding_window": True, "sliding_window": 8},
    "gemma2": {"head_dim": 16},
    "gpt_neox": {},
    "phi3": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
                  "head_dim": 16},
}  # fmt: skip
SIZE = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": [2, 3, 4, 5]}  # fmt: skip


@pytest.mark.parametrize("count, places", [(1, [4]), (2, [2, 5]), (3, [1, 3, 6]),
                                           (4, [1, 3, 5, 7])])  # fmt: skip
def test_spread_evenly_each_after_its_original(count: int, places: list[int]):
    model = make("qwen3")
    assert expand(model, count) == places
    layers = model.model.layers
    assert [layer.self_attn.layer_idx for layer in layers] == list(range(4 + count))
    for place in places:
        copy, original = layers[place], layers[place - 1]
        assert copy.self_attn.q_proj.weight.equal(original.self_attn.q_proj.weight)
        assert not copy.self_attn.o_proj.weight.any() and not copy.mlp.down_proj.weight.any()
        assert model.config.layer_types[place] == model.config.layer_types[place - 1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_logits_also_after_save_and_reload(kind: str, tmp_path: Path):
    model = make(kind)
    tokens = torch.arange(5, 40)[None]
    before = model(tokens).logits
    expand(model, 3)
    assert model(tokens).logits.equal(before)
    model.save_pretrained(tmp_path)
    again = load_model(tmp_path, "float32")
    assert len(list(again.parameters())) == len(list(model.parameters()))
    torch.testing.assert_close(again(tokens).logits, before)
    assert again.config.eos_token_id == [2, 3, 4, 5]


def test_with_a_cache(tiny_model: Path):
    model = load_model(tiny_model, "float32")
    tokens = torch.arange(5, 15)[None]
    expected = model.generate(tokens, max_new_tokens=5, do_sample=False)
    expand(model, 2)
    assert model.generate(tokens, max_new_tokens=5, do_sample=False).equal(expected)


def test_more_than_there_are(tiny_model: Path):
    with pytest.raises(ExpansionError, match="3 new blocks are more than the 2 that the model has"):
        expand(load_model(tiny_model, "float32"), 3)


def test_outputs_that_are_not_known_by_name(tiny_model: Path):
    model = load_model(tiny_model, "float32")
    for block in model.model.layers:
        block.mlp.register_forward_hook(lambda _, __, result: result + 1)
    with pytest.raises(ExpansionError, match="LlamaForCausalLM does not compute the same"):
        expand(model, 1)


def make(kind: str):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SIZE | KINDS[kind])
    return AutoModelForCausalLM.from_config(config).eval()
