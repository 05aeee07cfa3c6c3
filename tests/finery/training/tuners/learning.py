"""A few steps of training by a tuner, from nothing and from a checkpoint, and their merge."""

import csv
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from finery.data.prepared import write_parquet
from finery.models.load import load_model
from finery.params.merge import MergeParams
from finery.params.step import StepParams
from finery.training.start import built
from stages.merge import merge
from stages.train import train
from tests.steps import step

PROBES = [list(range(5, 30)), [7, 300, 12], [2, 1]]
SETTINGS = {
    "precision": "fp32", "learning_rate": 1e-2, "num_train_epochs": 2, "per_device_batch_size": 4,
    "gradient_accumulation_steps": 1, "logging_steps": 1, "save_steps": 2, "warmup_ratio": 0.0,
}  # fmt: skip
BLOCK = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
         "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")  # fmt: skip
NORMS = ("input_layernorm", "post_attention_layernorm")
LINEAR = {f"model.layers.{block}.{name}.weight" for block in (0, 1) for name in BLOCK}


def layer(number: int, names: tuple[str, ...] = (*BLOCK, *NORMS)) -> set[str]:
    return {f"model.layers.{number}.{name}.weight" for name in names}


@dataclass
class Learnt:
    """What the stages train and merge leave of a training on `start`."""

    params: StepParams
    start: Path
    folder: Path

    @property
    def adapter(self) -> Path:
        return self.folder / "out/adapter"

    @property
    def merged(self) -> Path:
        return self.folder / "merged"

    @property
    def files(self) -> dict[str, bytes]:
        found = [file for file in (self.folder / "out").rglob("*") if file.is_file()]
        return {str(file.relative_to(self.folder / "out")): file.read_bytes() for file in found}

    @cached_property
    def losses(self) -> list[float]:
        with (self.folder / "out/l.csv").open(encoding="utf-8") as rows:
            return [float(row["loss"]) for row in csv.DictReader(rows)]

    @cached_property
    def changed(self) -> set[str]:
        """The weights of the merged model that are others than those of the start, or new."""
        before = dict(load_model(self.start, "float32").named_parameters())
        after = dict(load_model(self.merged, "float32").named_parameters())
        return {n for n, w in after.items() if n not in before or not w.equal(before[n])}

    def logits(self) -> list[torch.Tensor]:
        """Of the merged model, as it is on disk."""
        return logits(load_model(self.merged, "float32"))


def logits(model: Any) -> list[torch.Tensor]:
    with torch.inference_mode():
        return [model(torch.tensor([ids])).logits[0] for ids in PROBES]


def learn(tuner: dict[str, Any], start: Path, folder: Path, **changed: Any) -> Learnt:
    """Train by the stage and merge; then again, from a checkpoint in the second epoch.

    Asserts what holds for every tuner: the loss falls, both trainings leave the same bytes, and
    the merged model is, within rounding, the one that was trained.
    """
    params = step(tuner=tuner, **SETTINGS | changed)
    data = samples(folder / "data")
    whole = Learnt(params, start, folder / "whole")
    stage(whole, data, folder / "none")
    assert whole.losses[-1] < whole.losses[0] - 0.01, whole.losses

    trainer = built(params, start, data, folder / "all")
    trainer.args.save_total_limit = None
    trainer.train()
    resumed = Learnt(params, start, folder / "resumed")
    shutil.copytree(folder / "all/checkpoint-4", folder / "some/checkpoint-4")
    stage(resumed, data, folder / "some")
    differ = {n for n in {*whole.files, *resumed.files}
              if whole.files.get(n) != resumed.files.get(n)}  # fmt: skip
    assert differ == set()

    merge(
        MergeParams(step="sft", dtype="float32"), "sft", start, whole.adapter, data,
        merged=whole.merged, metrics=folder / "merge.json",
    )  # fmt: skip
    trainer.model.eval()
    for trained, merged in zip(logits(trainer.model), whole.logits(), strict=True):
        torch.testing.assert_close(merged, trained, rtol=0, atol=2e-5)
    return whole


def stage(learnt: Learnt, data: Path, checkpoints: Path) -> None:
    out = learnt.folder / "out"
    out.mkdir(parents=True)
    names = {"adapter": "adapter", "loss": "l.csv", "plot": "l.png", "metrics": "m.json"}
    paths = {key: out / name for key, name in names.items()}
    train(learnt.params, "sft", learnt.start, data, checkpoints=checkpoints, **paths)


def samples(data: Path) -> Path:
    """Ten of them, 6 to 30 tokens each, all of which count: three steps an epoch."""
    generator = torch.Generator().manual_seed(5)
    rows = []
    for _ in range(10):
        size = int(torch.randint(6, 31, (), generator=generator))
        ids = torch.randint(5, 60, (size,), generator=generator).tolist()
        rows.append({"dataset": "d", "input_ids": ids, "labels": ids})
    write_parquet(data / "train.parquet", "samples", rows)
    write_parquet(data / "validation.parquet", "samples", [])
    write_parquet(data / "calibration.parquet", "samples", rows)
    return data
