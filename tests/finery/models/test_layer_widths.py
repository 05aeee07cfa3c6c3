"""Input widths of the layers that are quantized, in any architecture."""

import pytest

from finery.models.layer_widths import layer_widths, linears
from finery.models.tensors import tensors


def shapes(**found: tuple[int, ...]) -> dict:
    return {name.replace("__", "."): {"shape": list(shape)} for name, shape in found.items()}


def test_the_widths_inside_the_blocks_and_no_others(tiny_model):
    found = tensors(tiny_model)
    assert set(layer_widths(found).values()) == {64, 128}


GPT2 = shapes(
    h__0__attn__c_attn__weight=(96, 288),
    h__0__attn__c_attn__bias=(288,),
    h__0__attn__bias=(1, 1, 512, 512),
    h__0__attn__c_proj__weight=(96, 96),
    h__0__attn__c_proj__bias=(96,),
    h__0__mlp__c_fc__weight=(96, 384),
    h__0__mlp__c_fc__bias=(384,),
    h__0__mlp__c_proj__weight=(384, 96),
    h__0__mlp__c_proj__bias=(96,),
    h__0__ln_1__weight=(96,),
    wte__weight=(1000, 96),
    wpe__weight=(512, 96),
)
NEOX = shapes(
    gpt_neox__embed_in__weight=(1000, 96),
    gpt_neox__layers__0__attention__query_key_value__weight=(288, 96),
    gpt_neox__layers__0__attention__query_key_value__bias=(288,),
    gpt_neox__layers__0__mlp__dense_4h_to_h__weight=(96, 384),
    gpt_neox__layers__0__mlp__dense_4h_to_h__bias=(96,),
    embed_out__weight=(1000, 96),
)
FALCON = shapes(
    transformer__word_embeddings__weight=(1000, 71),
    transformer__h__0__self_attention__query_key_value__weight=(73, 71),
    transformer__h__0__mlp__dense_4h_to_h__weight=(71, 284),
)
MPT = shapes(
    transformer__wte__weight=(1000, 96),
    transformer__blocks__0__attn__Wqkv__weight=(288, 96),
    transformer__blocks__0__ffn__down_proj__weight=(96, 384),
)
MOE = shapes(
    model__layers__0__block_sparse_moe__gate__weight=(8, 64),
    model__layers__0__block_sparse_moe__experts__7__w1__weight=(96, 64),
    model__layers__0__block_sparse_moe__experts__7__w2__weight=(64, 96),
)
FUSED = shapes(
    model__layers__0__mlp__experts__gate_up_proj=(8, 64, 192),
    model__layers__0__mlp__experts__gate_up_proj_bias=(8, 192),
    model__layers__0__mlp__experts__down_proj=(8, 96, 64),
)


@pytest.mark.parametrize(
    ("found", "widths"),
    [
        (GPT2, {96, 384}),
        (NEOX, {96, 384}),
        (FALCON, {71, 284}),
        (MPT, {96, 384}),
        (MOE, {64, 96}),
        (FUSED, {64, 96, 192}),
    ],
    ids=["gpt2", "neox", "falcon", "mpt", "moe", "fused moe"],
)
def test_the_widths_of_other_architectures(found: dict, widths: set[int]):
    assert set(layer_widths(found).values()) == widths


def test_what_goes_in_and_what_comes_out():
    assert linears(GPT2)["h.0.attn.c_attn"] == (288, 96)
    assert linears(NEOX)["gpt_neox.layers.0.attention.query_key_value"] == (288, 96)


def test_they_are_those_that_transformers_multiplies_with():
    """The real classes, built without weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    small = {"vocab_size": 100, "hidden_size": 96, "num_attention_heads": 2}
    for kind, sizes in {
        "gpt2": {"n_embd": 96, "n_layer": 1, "n_head": 2, "vocab_size": 100},
        "gpt_neox": small | {"num_hidden_layers": 1, "intermediate_size": 160},
        "falcon": small | {"num_hidden_layers": 1},
        "mpt": {"d_model": 96, "n_layers": 1, "n_heads": 2, "vocab_size": 100},
        "bloom": {"hidden_size": 96, "n_layer": 1, "n_head": 2, "vocab_size": 100},
        "opt": small | {"num_hidden_layers": 1, "ffn_dim": 160, "word_embed_proj_dim": 96},
        "qwen2": small
        | {"num_hidden_layers": 1, "intermediate_size": 160, "num_key_value_heads": 1},
    }.items():
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes))
        expected = {
            module.weight.shape[0] if isinstance(module, Conv1D) else module.in_features
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear | Conv1D) and name != "lm_head"
            and name != "embed_out"
        }  # fmt: skip
        found = {name: {"shape": list(t.shape)} for name, t in model.state_dict().items()}
        assert set(layer_widths(found).values()) == expected, kind
