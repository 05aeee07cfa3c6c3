"""The train stage: killed anywhere, it ends with the same bytes; what it did not learn it says."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from finery.data.prepared import write_parquet
from finery.errors import UserError
from finery.params.step import StepParams
from finery.training.checkpoints import last_good
from finery.training.errors import TrainingError
from finery.training.schedule import ScheduleError, steps
from finery.training.supervised import supervised
from stages.train import train
from tests.resuming import differences
from tests.steps import step

ROWS = 23
PACKED_TO = '{"prepare@sft": {"packed_to": 64}}\n'
BASIC = {
    "tuner": {"type": "lora", "rank": 2, "alpha": 4}, "precision": "fp32", "learning_rate": 1e-2,
    "num_train_epochs": 4, "per_device_batch_size": 4, "gradient_accumulation_steps": 1,
    "logging_steps": 5, "eval_steps": 100, "save_steps": 3,
}  # fmt: skip


def write_samples(data: Path, rows: int = ROWS, validation: int = 0) -> Path:
    """Samples of 6 to 30 tokens; the first third of each is a question."""
    generator = torch.Generator().manual_seed(5)
    samples = []
    for _ in range(rows + validation):
        size = int(torch.randint(6, 31, (), generator=generator))
        ids = torch.randint(5, 300, (size,), generator=generator).tolist()
        labels = [-100] * (size // 3) + ids[size // 3 :]
        samples.append({"dataset": "d", "input_ids": ids, "labels": labels})
    write_parquet(data / "train.parquet", "samples", samples[:rows])
    write_parquet(data / "validation.parquet", "samples", samples[rows:])
    return data


def trained(params: StepParams, base: Path, data: Path, out: Path, checkpoints: Path) -> dict:
    """The bytes of all that the stage leaves."""
    out.mkdir(parents=True)
    names = {"adapter": "adapter", "loss": "l.csv", "plot": "l.png", "metrics": "m.json"}
    paths = {key: out / name for key, name in names.items()}
    train(params, "sft", base, data, checkpoints=checkpoints, **paths)
    return {str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"tuner": {"type": "lora", "rank": 2, "alpha": 4, "dropout": 0.3}, "save_steps": 5},
        {"packed": True, "save_steps": 2},
        {"gradient_accumulation_steps": 2, "save_steps": 2},
        {"validation": 5, "eval_steps": 3, "save_steps": 4},
        {"num_train_epochs": 2.5, "save_steps": 7, "lr_scheduler_type": "constant"},
    ],
    ids=["plain", "dropout", "packing", "accumulation", "evaluations", "half an epoch"],
)
def test_resumes_from_every_checkpoint(
    changed: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    changed = dict(changed)
    packed, validation = changed.pop("packed", False), changed.pop("validation", 0)
    data = write_samples(tmp_path / "data", validation=validation)
    if packed:
        (data / "lineage.json").write_text(PACKED_TO)
    found = differences(step(**BASIC | changed), tiny_model, data, tmp_path)
    assert len(found) > 2 and not any(found.values()), found


def poison(file: Path) -> None:
    """One number of a checkpoint's file is made NaN."""
    if file.suffix == ".pt":
        kept = torch.load(file, weights_only=True)
        kept["state"][0]["exp_avg_sq"].view(-1)[3] = torch.nan
        torch.save(kept, file)
    else:
        weights = load_file(file)
        next(iter(weights.values())).view(-1)[3] = torch.nan
        save_file(weights, file)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [poison, cut_off])
@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.pt"])
def test_a_damaged_checkpoint_is_not_resumed_from(
    damage: Any, name: str, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_samples(tmp_path / "data")
    params = step(**BASIC | {"num_train_epochs": 1})
    expected = trained(params, tiny_model, data, tmp_path / "whole", tmp_path / "kept")
    assert last_good(tmp_path / "kept").name == "checkpoint-6"
    damage(tmp_path / "kept/checkpoint-6" / name)
    capsys.readouterr()
    assert trained(params, tiny_model, data, tmp_path / "again", tmp_path / "kept") == expected
    assert "resuming from checkpoint-3\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "changed", "said"),
    [
        (2, {"per_device_batch_size": 2}, "0.1 takes the only step (2 rows, batch 2)"),
        (8, {"warmup_ratio": 0.9}, "0.9 takes all 2 steps (8 rows, batch 4)"),
        (9, {"gradient_accumulation_steps": 3, "num_train_epochs": 0.5},
         "0.1 takes the only step (9 rows, batch 12)"),
    ],
)  # fmt: skip
def test_a_warm_up_over_all_steps_is_refused_before_the_model_is_loaded(
    rows: int, changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", rows)
    params = step(**BASIC | {"num_train_epochs": 1} | changed)
    with pytest.raises(ScheduleError) as caught:
        trained(params, tmp_path / "no model", data, tmp_path / "out", tmp_path / "checkpoints")
    assert caught.value.exit_status == 2
    assert str(caught.value) == (
        f"train.sft.warmup_ratio: {said}, so the learning rate never gets to 0.01; set it to 0, or"
        " raise train.sft.num_train_epochs"
    )


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
@pytest.mark.parametrize("rows, logged", [(3, [1]), (11, [1, 3])])
def test_a_few_steps_are_logged_and_learn(
    rows: int, logged: list[int], schedule: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", rows, validation=2)
    changed = {"num_train_epochs": 1, "warmup_ratio": 0.0, "lr_scheduler_type": schedule}
    params = step(**BASIC | changed)
    made = trained(params, tiny_model, data, tmp_path / "out", tmp_path / "checkpoints")
    table = list(csv.DictReader(io.StringIO(made["l.csv"].decode())))
    assert [int(row["step"]) for row in table if row["loss"]] == logged
    metrics = json.loads(made["m.json"])
    assert metrics["steps"] == logged[-1]
    assert metrics["train_loss"] == float(table[-1]["loss"]) > 1
    assert metrics["eval_loss"] == float(table[-1]["eval_loss"]) > 1


def test_a_constant_rate_has_no_warm_up(tiny_model: Path, tmp_path: Path) -> None:
    data = write_samples(tmp_path / "data", 3)
    changed = {"num_train_epochs": 1, "lr_scheduler_type": "constant"}
    params = step(**BASIC | changed)
    made = trained(params, tiny_model, data, tmp_path / "out", tmp_path / "checkpoints")
    assert json.loads(made["m.json"])["steps"] == 1


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("batch, accumulated, epochs", [(4, 1, 2), (3, 2, 1.5), (5, 4, 0.3)])
def test_the_steps_are_those_of_the_trainer(
    batch: int, accumulated: int, epochs: float, packed: bool, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data")
    if packed:
        (data / "lineage.json").write_text(PACKED_TO)
    params = step(
        per_device_batch_size=batch, gradient_accumulation_steps=accumulated,
        num_train_epochs=epochs, precision="fp32", warmup_ratio=0,
    )  # fmt: skip
    trainer = supervised(params, tiny_model, data, tmp_path)
    planned = trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())
    assert steps(params, len(trainer.train_dataset)) == planned[-1]


def fails(params: StepParams, base: Path, data: Path, out: Path) -> UserError:
    with pytest.raises(TrainingError) as caught:
        trained(params, base, data, out, out.with_name("checkpoints"))
    assert caught.value.exit_status == 1 and "\n" not in str(caught.value)
    assert not list(out.iterdir())
    return caught.value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["layers.1.mlp.down_proj", "layers.0.input_layernorm"])
def test_a_damaged_base_model_is_named(
    name: str, value: float, tiny_model: Path, tmp_path: Path
) -> None:
    weight = f"model.{name}.weight"
    shutil.copytree(tiny_model, tmp_path / "base")
    weights = load_file(tmp_path / "base/model.safetensors")
    weights[weight].view(-1)[7] = value
    save_file(weights, tmp_path / "base/model.safetensors", {"format": "pt"})
    data = write_samples(tmp_path / "data")
    said = fails(step(**BASIC), tmp_path / "base", data, tmp_path / "out")
    assert str(said) == (
        f"step 1 of 24: the loss is nan: {tmp_path / 'base/model.safetensors'}: {weight} holds NaN"
        " or infinity; take another revision, or another model (model.source)"
    )
    assert last_good(tmp_path / "checkpoints") is None


@pytest.mark.parametrize("alpha, at, what", [
    (1e10, 2, "the gradient is nan"),
    (1e38, 1, "the gradient is inf"),
])  # fmt: skip
def test_steps_that_are_too_large_end_the_training_before_a_checkpoint_is_made_of_them(
    alpha: float, at: int, what: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data")
    changed = {
        "tuner": {"type": "lora", "rank": 2, "alpha": alpha},
        "save_steps": 1,
        "warmup_ratio": 0.0,
    }
    params = step(**BASIC | changed)
    said = fails(params, tiny_model, data, tmp_path / "out")
    assert str(said) == (
        f"step {at} of 24: {what}: the steps are too large; lower train.sft.learning_rate (0.01),"
        " or train.sft.tuner.alpha"
    )
    left = last_good(tmp_path / "checkpoints")
    assert (left.name if left else None) == (f"checkpoint-{at - 1}" if at > 1 else None)


def test_a_sample_without_a_counted_token(tiny_model: Path, tmp_path: Path) -> None:
    row = {"dataset": "d", "input_ids": [5, 6, 7], "labels": [-100] * 3}
    write_parquet(tmp_path / "data/train.parquet", "samples", [row] * 20)
    write_parquet(tmp_path / "data/validation.parquet", "samples", [])
    params = step(**BASIC)
    said = fails(params, tiny_model, tmp_path / "data", tmp_path / "out")
    assert "step 1 of 20: the loss is nan: none of its tokens is counted" in str(said)
    assert str(said).endswith("; `dvc repro -f prepare@sft` writes them again")


def test_a_validation_loss_that_is_not_finite(tiny_model: Path, tmp_path: Path) -> None:
    data = write_samples(tmp_path / "data", validation=2)
    row = {"dataset": "d", "input_ids": [5, 6, 7], "labels": [-100] * 3}
    write_parquet(data / "validation.parquet", "samples", [row])
    params = step(**BASIC | {"eval_steps": 2})
    said = fails(params, tiny_model, data, tmp_path / "out")
    assert str(said).startswith("step 2 of 24: the validation loss is nan: ")


@pytest.mark.parametrize("tuner", [{"type": "lora"}, {"type": "full"}])
def test_weights_that_are_as_before(tuner: dict, tiny_model: Path, tmp_path: Path) -> None:
    data = write_samples(tmp_path / "data")
    params = step(**BASIC | {"learning_rate": 1e-50, "tuner": tuner, "num_train_epochs": 1})
    said = fails(params, tiny_model, data, tmp_path / "out")
    assert "changed nothing" in str(said) and "train.sft.learning_rate" in str(said)
