"""Ranks that go to the layers that need them most."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from tests.steps import step

from .learning import LINEAR, learn


@pytest.mark.parametrize("end", [0.0, 0.5])
def test_triplets_are_pruned_to_the_target(end: float, tiny_model: Path, tmp_path: Path):
    """A kill comes before, and after, the ranks are final."""
    tuner = {"type": "adalora", "init_rank": 6, "target_rank": 2, "begin": 0.2, "end": end}
    learnt = learn(tuner, tiny_model, tmp_path, learning_rate=0.05)
    assert learnt.changed <= LINEAR and len(learnt.changed) > 7
    saved = load_file(learnt.adapter / "adapter_model.safetensors")
    values = torch.cat([w.flatten() for name, w in saved.items() if "lora_E" in name])
    assert len(values) == 14 * 6
    assert values.count_nonzero() == 14 * 2


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"init_rank": 8}, "init_rank: must be above target_rank"),
        ({"begin": 0.6, "end": 0.4}, "begin: with end it takes all of the steps"),
    ],
)
def test_settings_by_which_nothing_is_pruned(wrong: dict, said: str):
    with pytest.raises(ValidationError, match=said):
        step(tuner={"type": "adalora"} | wrong)
