"""What learnt nothing is no success, whatever was trained."""

from pathlib import Path
from typing import Any

import pytest
import torch

from finery.models.load import load_model
from finery.training.errors import TrainingError
from finery.training.own_weights import train_only
from finery.training.untrained import fingerprints, refuse_untrained


def adapted(base: Path, **settings: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", **settings)
    return get_peft_model(load_model(base, "float32"), config)


def test_no_weight_is_another(tiny_model: Path):
    model = load_model(tiny_model, "bfloat16")
    train_only(model, lambda name: "layers.1" in name)
    begun = fingerprints(model)
    assert len(begun) == 9
    with pytest.raises(TrainingError) as error:
        refuse_untrained(model, begun, "train.sft")
    assert str(error.value) == (
        "training changed nothing: every weight is as before the first step; raise"
        " train.sft.learning_rate or train.sft.num_train_epochs"
    )
    model.model.layers[1].mlp.up_proj.weight.data[3, 4] *= 1 + 2**-20
    refuse_untrained(model, begun, "train.sft")


def test_weights_that_change_and_do_nothing(tiny_model: Path):
    """As by weight decay of the A of a LoRA adapter whose B is zero still."""
    model = adapted(tiny_model)
    begun = fingerprints(model)
    for name, weight in model.named_parameters():
        if "lora_A" in name:
            weight.data *= 0.9
    with pytest.raises(TrainingError, match=r"^the adapter does nothing: with it, the model"):
        refuse_untrained(model, begun, "train.sft")
    next(w for n, w in model.named_parameters() if "lora_B" in n).data[0, 0] = 1e-3
    refuse_untrained(model, begun, "train.sft")


def test_weights_of_many_equal_numbers_that_change_alike(tiny_model: Path):
    model = adapted(tiny_model)
    begun = fingerprints(model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight += 1e-2
    assert fingerprints(model) != begun
    refuse_untrained(model, begun, "train.sft")
