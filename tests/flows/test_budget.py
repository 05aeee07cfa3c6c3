"""Stages side by side, each on accelerators of its own."""

import pytest

from finery.params.resources import ResourcesParams
from flows.budget import Budget


def test_one_accelerator_is_one_heavy_stage_at_a_time() -> None:
    budget = Budget(ResourcesParams())
    assert budget.take("quantize@gptq") == {}
    assert not budget.fits("evaluate@base")
    assert budget.fits("prepare"), "which takes none"
    budget.give_back("quantize@gptq")
    assert budget.fits("evaluate@base")


def test_each_stage_sees_its_own_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    budget = Budget(ResourcesParams(accelerators=3, num_gpus={"train": 2, "evaluate": 1}))
    assert budget.take("train") == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert budget.take("evaluate@base") == {"CUDA_VISIBLE_DEVICES": "2"}
    assert budget.take("gate") == {}
    assert not budget.fits("evaluate@merged")
    budget.give_back("train")
    assert budget.take("evaluate@merged") == {"CUDA_VISIBLE_DEVICES": "0"}


def test_indices_count_among_the_devices_that_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    budget = Budget(ResourcesParams(accelerators=2))
    assert budget.take("train") == {"CUDA_VISIBLE_DEVICES": "4"}
    assert budget.take("merge") == {"CUDA_VISIBLE_DEVICES": "6"}


def test_a_stage_never_waits_for_more_than_there_is() -> None:
    budget = Budget(ResourcesParams(accelerators=1, num_gpus={"train": 8}))
    assert budget.fits("train")
