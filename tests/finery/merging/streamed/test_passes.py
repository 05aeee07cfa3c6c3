"""A model that is read block by block computes what it computes in memory."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from finery.merging.fidelity import PLACES
from finery.merging.streamed.passes import logits
from finery.merging.streamed.skeleton import empty, hollow, is_hollow
from finery.models.load import load_model

PROBES = [list(range(5, 30)), [7, 300, 12], list(range(2, 2 + PLACES + 40))]


def test_each_weight_is_read_once_for_all_texts(tiny_model: Path) -> None:
    full, model = load_model(tiny_model, "float32"), hollow(empty(tiny_model, False, "float32"))
    read: Counter[str] = Counter()
    held: list[int] = []

    def weight(name: str) -> torch.Tensor:
        read[name] += 1
        held.append(sum(not is_hollow(each) for each in model.parameters()))
        return full.get_parameter(name).detach()

    found = logits(model, weight, PROBES)
    names = {name for name, _ in full.named_parameters(remove_duplicate=False)}
    assert read == dict.fromkeys(names, 1)
    assert max(held) < 12, "of the 20 that there are: one block and what is outside of them"
    assert all(is_hollow(each) for each in model.parameters())
    for probe, each in zip(PROBES, found, strict=True):
        with torch.inference_mode():
            whole = full(torch.tensor([probe])).logits[0]
        places = torch.linspace(0, len(whole) - 1, min(PLACES, len(whole))).long()
        assert torch.equal(each, whole[places])


def test_what_fails_in_one_ends_all(tiny_model: Path) -> None:
    model = hollow(empty(tiny_model, False, "float32"))
    full = load_model(tiny_model, "float32")

    def weight(name: str) -> torch.Tensor:
        if "layers.1" in name:
            raise OSError("the disk is gone")
        return full.get_parameter(name).detach()

    with pytest.raises(OSError, match="the disk is gone"):
        logits(model, weight, PROBES)
    with pytest.raises(IndexError):
        logits(model, lambda name: full.get_parameter(name).detach(), [[1, 2], [10**6]])
