"""Layers to adapt are layers of the model, and layers that can be merged."""

from pathlib import Path

import pytest

from .conftest import LLAMA, WEIGHTS, change, make, problems

LAYERS = "down_proj, gate_proj, k_proj, q_proj, or all-linear"
UNTIED = LLAMA | {"tie_word_embeddings": False}
HEAD = WEIGHTS | {"lm_head.weight": (30, 64)}

PLACES = (
    "q_proj", "self_attn.q_proj", "layers.1.mlp.up_proj", "model.layers.0.self_attn.k_proj",
    "_proj", "proj", "mlp", "input_layernorm", "q_proj.weight",
)  # fmt: skip


def found(*targets: str) -> list[str]:
    change(**{"train.sft.tuner.target_modules": list(targets)})
    return [line.removeprefix("train.sft.tuner.target_modules: ") for line in problems()]


@pytest.mark.parametrize(
    "targets",
    [
        ("q_proj",),
        ("q_proj", "down_proj"),
        ("self_attn.q_proj",),
        ("layers.0.mlp.gate_proj",),
        ("model.layers.0.mlp.gate_proj",),
    ],
)
def test_layers_of_the_model(project: Path, targets: tuple[str, ...]):
    make(project / "tiny")
    assert found(*targets) == []


def test_names_that_match_nothing_in_part_or_at_all(project: Path):
    make(project / "tiny")
    assert found("q_proj", "v_porj", "gate_poj") == [
        "v_porj matches no layer of tiny; did you mean q_proj or k_proj?",
        "gate_poj matches no layer of tiny; did you mean gate_proj?",
    ]
    assert found("query_key_value") == [
        f"query_key_value matches no layer of tiny; there are {LAYERS}"
    ]
    assert found("proj", "q_proj.weight")[0].startswith("proj matches no layer of tiny")


def test_what_is_there_but_no_linear_layer(project: Path):
    make(project / "tiny")
    assert found("mlp", "input_layernorm") == [
        f"mlp is no linear layer of tiny; there are {LAYERS}",
        f"input_layernorm is no linear layer of tiny; there are {LAYERS}",
    ]


@pytest.mark.parametrize("config", [LLAMA, UNTIED | {"tie_word_embeddings": None}])
@pytest.mark.parametrize("target", ["embed_tokens", "lm_head", "model.embed_tokens"])
def test_tied_embeddings_cannot_be_merged_into(project: Path, config: dict, target: str):
    make(project / "tiny", config)
    assert found("q_proj", target) == [
        f"{target} shares one table with the other end of tiny (tied embeddings), and a merge would"
        f" change both; leave it out; there are {LAYERS}"
    ]


def test_tied_although_both_tables_were_saved(project: Path):
    make(project / "tiny", LLAMA, HEAD)
    assert "tied" in found("lm_head")[0]


def test_tables_apart_can_be_merged_into(project: Path):
    make(project / "tiny", UNTIED, HEAD)
    assert found("lm_head", "embed_tokens") == []


def test_gpt2_saved_without_the_first_part_of_its_names(project: Path):
    names = {"wte.weight": (30, 64), "h.0.attn.c_attn.weight": (64, 192)}
    make(project / "tiny", {"model_type": "gpt2", "vocab_size": 30}, names)
    assert found("c_attn", "transformer.h.0.attn.c_attn") == []
    assert "tied" in found("wte")[0] and "tied" in found("transformer.wte")[0]
    assert found("c_atn") == ["c_atn matches no layer of tiny; did you mean c_attn?"]


def test_experts_one_by_one_in_the_file_and_together_in_the_model(project: Path):
    name = "model.layers.0.mlp.experts.{}.{}_proj.weight"
    experts = {name.format(i, part): (64, 64) for i in range(2) for part in ("up", "down")}
    make(project / "tiny", weights=WEIGHTS | experts)
    assert found("up_proj", "gate_up_proj") == []


def test_peft_finds_the_same(tiny_model: Path):
    """A name is a layer here if and only if PEFT puts an adapter there."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from finery.check.facts import read_model
    from finery.check.target_modules import target_problems

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    for target in PLACES:
        try:
            fits = bool(get_peft_model(model, LoraConfig(target_modules=[target])).peft_config)
        except ValueError:
            fits = False
        model = AutoModelForCausalLM.from_pretrained(tiny_model)
        assert (target_problems(read_model(tiny_model), [target]) == []) is fits, target
