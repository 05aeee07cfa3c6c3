"""What a forward pass is said to keep, against what torch keeps, architecture by architecture."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from finery.check.facts import read_model
from finery.check.memory.activations import Batch, activation_bytes
from finery.check.memory.shape import shape
from finery.check.memory.step import trained_by
from tests.steps import step

ROWS, LENGTH, LAYERS = 2, 40, 3
WIDTHS = {
    "vocab_size": 400, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": LAYERS,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip
MODELS = {
    "llama": WIDTHS,
    "qwen2": WIDTHS,
    "qwen3": WIDTHS,
    "gemma3_text": WIDTHS,
    "mistral": WIDTHS | {"num_key_value_heads": 1, "sliding_window": None},
    "olmo2": WIDTHS,
    "phi3": {k: v for k, v in WIDTHS.items() if k != "head_dim"} | {"pad_token_id": 0},
    "gpt2": {"vocab_size": 400, "n_embd": 64, "n_layer": LAYERS, "n_head": 4, "attn_pdrop": 0,
             "embd_pdrop": 0, "resid_pdrop": 0},
}  # fmt: skip
LORA = {"type": "lora", "rank": 4}


def kept(model: Any, padded: bool) -> int:
    """Bytes of the tensors that a forward pass saves for the backward pass, weights left out."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    sizes: dict[int, int] = {}
    alive = []

    def save(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    ids = torch.arange(ROWS * LENGTH).view(ROWS, LENGTH)
    mask = torch.ones(ROWS, LENGTH, dtype=torch.long)
    if padded:
        mask[0, -10:] = 0
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1).logits
    assert logits.requires_grad
    return sum(sizes.values())


def made(kind: str, folder: Path) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**MODELS[kind]))
    model.save_pretrained(folder)
    return model.train()


@pytest.mark.parametrize("padded", [False, True], ids=["even", "padded"])
@pytest.mark.parametrize("tuner", [{"type": "full"}, LORA], ids=["full", "lora"])
@pytest.mark.parametrize("kind", MODELS)
def test_what_is_kept(kind: str, tuner: dict, padded: bool, tmp_path: Path) -> None:
    model, params = made(kind, tmp_path), step(tuner=tuner)
    form = shape(read_model(tmp_path))
    if tuner["type"] == "lora":
        model = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear"))
        model.enable_input_require_grads()
    said = activation_bytes(
        form, Batch(ROWS, LENGTH, 0, 0, padded), trained_by(form, params), 4, False, 0
    )
    assert said == pytest.approx(kept(model, padded), rel=0.08)


@pytest.mark.parametrize(
    "targets, dropout",
    [(["q_proj", "v_proj"], 0.0), ("all-linear", 0.1), (["down_proj", "o_proj"], 0.1)],
)
def test_what_an_adapter_keeps(targets: Any, dropout: float, tmp_path: Path) -> None:
    tuner = LORA | {"target_modules": targets, "dropout": dropout}
    model, params = made("llama", tmp_path), step(tuner=tuner)
    model = get_peft_model(model, LoraConfig(r=4, target_modules=targets, lora_dropout=dropout))
    model.enable_input_require_grads()
    form = shape(read_model(tmp_path))
    said = activation_bytes(
        form, Batch(ROWS, LENGTH, 0, 0, True), trained_by(form, params), 4, False, 0
    )
    assert said == pytest.approx(kept(model, True), rel=0.08)


def test_checkpointing_keeps_the_inputs_of_the_layers(tmp_path: Path) -> None:
    model = made("llama", tmp_path)
    model.gradient_checkpointing_enable()
    form = shape(read_model(tmp_path))
    batch = Batch(ROWS, LENGTH, 0, 0, False)
    trained = trained_by(form, step(tuner={"type": "full"}))
    inputs = LAYERS * ROWS * LENGTH * WIDTHS["hidden_size"] * 4
    of_model = activation_bytes(form, batch, trained, 4, False, 0)
    said = activation_bytes(form, batch, trained, 4, False, LAYERS)
    assert said == pytest.approx(inputs + of_model / LAYERS, rel=0.1)
    assert kept(model, False) < of_model / LAYERS  # the layers' own tensors are not kept
