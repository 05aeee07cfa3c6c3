"""Every optimizer, schedule and way to stop: resumed from any checkpoint, the same bytes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from finery.data.prepared import write_parquet
from finery.params.optimizers import PACKAGES, WORKING
from finery.params.schedulers import SCHEDULERS
from finery.params.step import StepParams
from finery.training.equip import equip
from finery.training.supervised import supervised
from stages.train import train
from tests.steps import step

ROWS = 12
BASIC = {
    "tuner": {"type": "lora", "rank": 2, "alpha": 4}, "precision": "fp32", "learning_rate": 1e-2,
    "num_train_epochs": 2, "per_device_batch_size": 4, "gradient_accumulation_steps": 1,
    "logging_steps": 2, "eval_steps": 2, "save_steps": 2, "warmup_steps": 1,
}  # fmt: skip
NEEDS = {
    "cosine_with_min_lr": {"min_lr": 1e-3},
    "cosine_warmup_with_min_lr": {"min_lr_rate": 0.1},
    "warmup_stable_decay": {"num_decay_steps": 2},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve samples to train on and three of two datasets to validate on."""
    import torch

    generator, folder = torch.Generator().manual_seed(5), tmp_path_factory.mktemp("data")
    samples = []
    for row in range(ROWS + 3):
        size = int(torch.randint(6, 31, (), generator=generator))
        ids = torch.randint(5, 300, (size,), generator=generator).tolist()
        name = "a" if row % 3 else "b"
        samples.append({"dataset": name, "input_ids": ids, "labels": [-100] * 3 + ids[3:]})
    write_parquet(folder / "train.parquet", "samples", samples[:ROWS])
    write_parquet(folder / "validation.parquet", "samples", samples[ROWS:])
    return folder


def trained(params: Any, base: Path, data: Path, out: Path, checkpoints: Path) -> dict[str, bytes]:
    """The bytes of all that the stage leaves."""
    out.mkdir(parents=True)
    names = {"adapter": "adapter", "loss": "l.csv", "plot": "l.png", "metrics": "m.json"}
    paths = {key: out / name for key, name in names.items()}
    train(params, "sft", base, data, checkpoints=checkpoints, **paths)
    return {str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()}


def assert_resumes(
    changed: dict[str, Any], base: Path, data: Path, tmp_path: Path, capsys: Any
) -> dict[str, bytes]:
    """From each checkpoint that was there at some time, with those that it names; what is made."""
    params, kept = step(**BASIC | changed), tmp_path / "kept"
    expected = trained(params, base, data, tmp_path / "whole", kept)
    snapshots = after_each_save(params, base, data, tmp_path)
    assert len(snapshots) >= 2
    for snapshot in snapshots:
        shutil.rmtree(kept)
        shutil.copytree(snapshot, kept)
        capsys.readouterr()
        found = trained(params, base, data, tmp_path / f"from-{snapshot.name}", kept)
        assert f"resuming from {snapshot.name}\n" in capsys.readouterr().out
        wrong = {name for name in {*expected, *found} if expected.get(name) != found.get(name)}
        assert not wrong, snapshot.name
    return expected


def after_each_save(params: StepParams, base: Path, data: Path, tmp_path: Path) -> list[Path]:
    """Copies of the folder of checkpoints, each as a kill after a save would leave it."""
    taken = []

    class CopyAll(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            copy = tmp_path / f"copies/checkpoint-{state.global_step}"
            taken.append(Path(shutil.copytree(args.output_dir, copy)))

    trainer = supervised(params, base, data, tmp_path / "watched")
    equip(trainer, params)
    trainer.add_callback(CopyAll)
    trainer.train()
    return taken


@pytest.mark.parametrize("optim", WORKING)
def test_optimizers(
    optim: str, tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = optim in PACKAGES["schedulefree"]
    changed = {"optim": optim} | ({"lr_scheduler_type": "constant"} if alone else {})
    made = assert_resumes(changed, tiny_model, data, tmp_path, capsys)
    losses = [json.loads(made["m.json"])[key] for key in ("eval_loss", "eval_a_loss")]
    first = supervised(step(**BASIC), tiny_model, data, tmp_path / "fresh").evaluate()
    assert losses[0] < first["eval_loss"]


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "cosine"])
def test_schedules(
    name: str, tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {"lr_scheduler_type": name, "lr_scheduler_kwargs": NEEDS.get(name, {})}
    assert_resumes(changed, tiny_model, data, tmp_path, capsys)
