"""What all methods that learn from preferences have in common, on real trainers of a tiny model."""

import csv
import io
import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from finery.merging.lora import merge_lora
from finery.training.checkpoints import last_good
from finery.training.errors import TrainingError
from finery.training.order import token_counts
from tests.preferences import IGNORED, KINDS, samples, write_samples
from tests.resuming import differences, trained
from tests.steps import step

METHODS = ["dpo", "kto", "orpo", "simpo", "cpo"]
BASIC = {
    "precision": "fp32", "learning_rate": 1e-2, "num_train_epochs": 2, "per_device_batch_size": 4,
    "gradient_accumulation_steps": 1, "logging_steps": 2, "eval_steps": 4, "save_steps": 3,
    "tuner": {"type": "lora", "rank": 2, "alpha": 8},
}  # fmt: skip


def build(method: str, start: Path, data: Path, checkpoints: Path, **changed: Any) -> Any:
    params = step(method=method, **BASIC | changed)
    module = import_module(f"finery.training.methods.{method}")
    return module.build_trainer(params, start, data, checkpoints)


def rows_of(batch: dict[str, torch.Tensor]) -> list[tuple[tuple, tuple]]:
    """The tokens of each row of a batch without their padding, and which of them count."""
    if "labels" in batch:
        counted = batch["labels"] != IGNORED
        assert torch.equal(batch["labels"][counted], batch["input_ids"][counted])
    else:
        counted = batch["completion_mask"] == 1
    lengths = batch["attention_mask"].sum(1).tolist()
    rows = zip(batch["input_ids"].tolist(), counted.tolist(), lengths, strict=True)
    return [(tuple(ids[:size]), tuple(flags[:size])) for ids, flags, size in rows]


def counted(row: dict[str, Any], side: str = "") -> tuple[tuple, tuple]:
    ids, labels = row[f"{side}input_ids"], row[f"{side}labels"]
    return tuple(ids), tuple(label != IGNORED for label in labels)


@pytest.mark.parametrize("method", METHODS)
def test_the_tokens_and_what_counts_of_them_are_those_of_prepare(
    method: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", method)
    trainer = build(method, tiny_model, data, tmp_path / "checkpoints")
    prepared = pq.read_table(data / "train.parquet").to_pylist()
    seen = []
    for batch in trainer.get_train_dataloader():
        rows = rows_of(batch)
        if method == "kto":
            seen += zip(rows, batch["label"].tolist(), strict=True)
        else:
            half = len(rows) // 2
            seen += zip(rows[:half], rows[half:], strict=True)
    if method == "kto":
        expected = [(counted(row), row["desirable"]) for row in prepared]
    else:
        expected = [(counted(row), counted(row, "rejected_")) for row in prepared]
    assert sorted(seen) == sorted(expected) and seen != expected


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_falls_and_the_adapter_alone_has_changed(
    method: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", method, rows=8)
    shutil.copy(data / "train.parquet", data / "validation.parquet")
    trainer = build(method, tiny_model, data, tmp_path / "checkpoints", num_train_epochs=6)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before - 0.05
    base = load_file(tiny_model / "model.safetensors")
    changed, same = set(), set()
    for name, weight in trainer.model.named_parameters():
        plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
        if plain in base:
            assert torch.equal(weight.data, base[plain].float()), name
            same.add(plain)
        elif weight.any() and ".lora_B." in name:
            changed.add(name)
    assert same == set(base) and len(changed) == 14


ACCUMULATED = {"gradient_accumulation_steps": 2, "save_steps": 1, "eval_steps": 3}
HALF = {"num_train_epochs": 1.5, "save_steps": 2, "logging_steps": 3}


@pytest.mark.parametrize(("method", "changed"), [
    *((method, ACCUMULATED) for method in METHODS), ("dpo", HALF), ("kto", HALF),
])  # fmt: skip
def test_resumes_from_every_checkpoint(
    method: str, changed: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", method, validation=5)
    params = step(method=method, **BASIC | changed)
    found = differences(params, tiny_model, data, tmp_path)
    assert found == {checkpoint: [] for checkpoint in found} and len(found) >= 4


@pytest.mark.parametrize("method", METHODS)
def test_what_is_left_is_an_adapter_that_merges_and_a_table_of_rewards(
    method: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", method, validation=5)
    params = step(method=method, **BASIC)
    made = trained(params, tiny_model, data, tmp_path / "out", tmp_path / "checkpoints")
    probes = [row["input_ids"] for row in samples(method, 3)]
    merged, fidelity = merge_lora(tiny_model, tmp_path / "out/adapter", "float32", probes)
    assert fidelity["exact"]["relative_difference"] < 1e-5
    base = load_file(tiny_model / "model.safetensors")
    key = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(merged.state_dict()[key], base[key].float())
    metrics = json.loads(made["m.json"])
    table = list(csv.DictReader(io.StringIO(made["l.csv"].decode())))
    assert metrics["steps"] == 12 == int(table[-1]["step"])
    assert metrics["eval_loss"] == float(table[-1]["eval_loss"])
    for row in table:
        better, worse = float(row["rewards/chosen"]), float(row["rewards/rejected"])
        if KINDS.get(method) != "kto":  # its two means are of batches that differ
            assert float(row["rewards/margins"]) == pytest.approx(better - worse, abs=1e-5)
            assert 0 <= float(row["rewards/accuracies"]) <= 1


@pytest.mark.parametrize("method", METHODS)
def test_the_validation_loss_counts_each_sample_once(
    method: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", method, validation=6)
    trainer = build(method, tiny_model, data, tmp_path / "checkpoints")
    batches = list(trainer.get_eval_dataloader())
    with torch.no_grad():
        losses = [trainer.compute_loss(trainer.model, dict(batch)).item() for batch in batches]
    expected = (4 * losses[0] + 2 * losses[1]) / 6
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_longer_answer_decides_what_comes_together(
    method: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", method)
    trainer = build(method, tiny_model, data, tmp_path / "checkpoints")
    sides = [key for key in ("input_ids", "rejected_input_ids") if key in trainer.train_dataset[0]]
    lengths = [max(len(row[key]) for key in sides) for row in trainer.train_dataset]
    assert token_counts(trainer.train_dataset) == lengths
    first, second = (list(trainer._get_train_sampler()) for _ in range(2))
    assert first == second and sorted(first) == list(range(23))
    trainer.state.epoch = 1.0
    assert list(trainer._get_train_sampler()) != first


@pytest.mark.parametrize("method", METHODS)
def test_a_base_model_with_nan_in_it_is_named(
    method: str, tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_model, tmp_path / "base")
    weights = load_file(tmp_path / "base/model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"][3, 5] = float("nan")
    save_file(weights, tmp_path / "base/model.safetensors", {"format": "pt"})
    data = write_samples(tmp_path / "data", method)
    with pytest.raises(TrainingError) as caught:
        params = step(method=method, **BASIC)
        trained(params, tmp_path / "base", data, tmp_path / "out", tmp_path / "checkpoints")
    assert "layers.1.mlp.down_proj.weight holds NaN or infinity" in str(caught.value)
    assert last_good(tmp_path / "checkpoints") is None


@pytest.mark.parametrize("method", METHODS)
def test_steps_that_are_too_large_stop_the_training(
    method: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", method)
    huge = {"tuner": {"type": "lora", "rank": 2, "alpha": 1e10}, "warmup_ratio": 0.0}
    with pytest.raises(TrainingError, match=r"the steps are too large; lower train\.sft\.learning"):
        params = step(method=method, **BASIC | huge)
        trained(params, tiny_model, data, tmp_path / "out", tmp_path / "checkpoints")
    assert not list((tmp_path / "out").iterdir())
