"""sft and pretrain: what prepare counts is learnt, and nothing else."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from finery.data.prepared import write_parquet
from finery.merging.lora import merge_lora
from tests.resuming import differences, trained
from tests.steps import step

IGNORED = -100
METHODS = ["sft", "pretrain"]
BASIC = {
    "precision": "fp32", "learning_rate": 1e-2, "num_train_epochs": 4, "per_device_batch_size": 4,
    "gradient_accumulation_steps": 1, "logging_steps": 2, "save_steps": 3,
    "tuner": {"type": "lora", "rank": 2, "alpha": 8},
}  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eleven samples of 8 to 28 tokens; of every other one the first half is not counted."""
    generator, rows = torch.Generator().manual_seed(3), []
    for number in range(11):
        ids = torch.randint(5, 300, (8 + 2 * number,), generator=generator).tolist()
        asked = len(ids) // 2 if number % 2 else 0
        labels = [IGNORED] * asked + ids[asked:]
        rows.append({"dataset": "d", "input_ids": ids, "labels": labels})
    for name, samples in {"train": rows, "validation": rows[:3]}.items():
        write_parquet(tmp_path / f"data/{name}.parquet", "samples", samples)
    return tmp_path / "data"


def build(method: str, start: Path, data: Path, checkpoints: Path) -> Any:
    module = import_module(f"finery.training.methods.{method}")
    return module.build_trainer(step(method=method, **BASIC), start, data, checkpoints)


@pytest.mark.parametrize("method", METHODS)
def test_the_tokens_and_what_counts_of_them_are_those_of_prepare(
    method: str, tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    trainer, seen = build(method, tiny_model, data, tmp_path / "checkpoints"), []
    for batch in trainer.get_train_dataloader():
        lengths = batch["attention_mask"].sum(1).tolist()
        rows = zip(batch["input_ids"].tolist(), batch["labels"].tolist(), lengths, strict=True)
        for ids, labels, length in rows:
            assert set(labels[length:]) <= {IGNORED}
            seen.append((ids[:length], labels[:length]))
    prepared = pq.read_table(data / "train.parquet").to_pylist()
    expected = [(row["input_ids"], row["labels"]) for row in prepared]
    assert sorted(seen) == sorted(expected) and seen != expected


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_falls_and_the_adapter_alone_has_changed(
    method: str, tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    trainer = build(method, tiny_model, data, tmp_path / "checkpoints")
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before - 0.1
    base, learnt = load_file(tiny_model / "model.safetensors"), 0
    for name, weight in trainer.model.named_parameters():
        plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
        if plain in base:
            assert torch.equal(weight.data, base[plain].float()), name
        elif ".lora_B." in name:
            learnt += bool(weight.any())
    assert learnt == 14


@pytest.mark.parametrize("method", METHODS)
def test_it_resumes_from_every_checkpoint_and_merges(
    method: str, tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    params = step(method=method, **BASIC)
    found = differences(params, tiny_model, data, tmp_path)
    assert found == {checkpoint: [] for checkpoint in found} and len(found) == 4
    trained(params, tiny_model, data, tmp_path / "out", tmp_path / "checkpoints")
    probe = [list(range(5, 30))]
    _, fidelity = merge_lora(tiny_model, tmp_path / "out/adapter", "float32", probe)
    assert fidelity["exact"]["relative_difference"] < 1e-5
