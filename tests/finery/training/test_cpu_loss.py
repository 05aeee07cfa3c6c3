"""The quick loss is TRL's loss: the same value and the same gradients."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trl import SFTTrainer

from finery.data.prepared import write_parquet
from finery.training.supervised import supervised
from tests.steps import step


@pytest.fixture(scope="module")
def trainer(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("training")
    ids = list(range(5, 25))
    write_parquet(folder / "train.parquet", "samples", [sample(ids, 0)])
    write_parquet(folder / "validation.parquet", "samples", [])
    built = supervised(step(precision="fp32"), tiny_model, folder, folder / "checkpoints")
    generator = torch.Generator().manual_seed(0)
    for name, weight in built.model.named_parameters():
        if "lora_B" in name:  # they begin as zeros, and hide the gradient of A
            weight.data.normal_(std=0.05, generator=generator)
    return built


def sample(ids: list[int], asked: int) -> dict[str, Any]:
    return {"dataset": "d", "input_ids": ids, "labels": [-100] * asked + ids[asked:]}


def batch(trainer: Any, *sizes: tuple[int, int]) -> dict[str, Any]:
    """A padded batch of samples, given the lengths of each and of its question."""
    generator = torch.Generator().manual_seed(1)
    samples = []
    for size, asked in sizes:
        ids = torch.randint(5, 300, (size,), generator=generator).tolist()
        samples.append(sample(ids, asked))
    rows = [{key: each[key] for key in ("input_ids", "labels")} for each in samples]
    return dict(trainer.data_collator(rows))


def gradients(trainer: Any, compute_loss: Any, inputs: dict, items: Any) -> tuple[float, dict]:
    trainer.model.zero_grad()
    given = {key: value.clone() for key, value in inputs.items()}
    loss = compute_loss(trainer, trainer.model, given, num_items_in_batch=items)
    loss.backward()
    named = trainer.model.named_parameters()
    return loss.item(), {name: w.grad.clone() for name, w in named if w.grad is not None}


@pytest.mark.parametrize("items", [None, 37])
@pytest.mark.parametrize("sizes", [[(20, 5), (33, 30), (9, 0)], [(12, 11)], [(16, 4), (16, 12)]])
def test_the_same_loss_and_gradients_as_trl(trainer: Any, sizes: list, items: int | None):
    inputs = batch(trainer, *sizes)
    assert (inputs["attention_mask"] == 0).any() == (len({size for size, _ in sizes}) > 1)
    count = None if items is None else torch.tensor(items)
    loss, found = gradients(trainer, type(trainer).compute_loss, inputs, count)
    expected_loss, expected = gradients(trainer, SFTTrainer.compute_loss, inputs, count)
    assert type(trainer).compute_loss is not SFTTrainer.compute_loss
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert loss > 0.1
    assert found.keys() == expected.keys() and any("lora_A" in name for name in found)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-5)
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-3


def test_the_loss_without_gradient_when_outputs_are_asked_for(trainer: Any):
    inputs = batch(trainer, (20, 5), (9, 2))
    with torch.no_grad():
        loss, outputs = trainer.compute_loss(trainer.model, dict(inputs), return_outputs=True)
        quick = trainer.compute_loss(trainer.model, dict(inputs)).item()
    assert quick == pytest.approx(loss.item(), abs=1e-5)
    assert outputs.logits.shape[:2] == inputs["input_ids"].shape
