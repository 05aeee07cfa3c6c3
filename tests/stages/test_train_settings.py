"""Every optimizer, schedule and way to stop: resumed from any checkpoint, the same bytes."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from finery.data.prepared import write_parquet
from finery.errors import UserError
from finery.params.optimizers import UNSCHEDULED, WORKING
from finery.params.schedulers import SCHEDULERS
from finery.training.start import built
from finery.training.supervised import supervised
from tests.preferences import KINDS, samples, write_samples
from tests.resuming import differences, trained
from tests.steps import step

ROWS = 12
BASIC = {
    "tuner": {"type": "lora", "rank": 2, "alpha": 4}, "precision": "fp32", "learning_rate": 1e-2,
    "num_train_epochs": 2, "effective_batch_size": 4, "logging_steps": 2, "eval_steps": 2,
    "save_steps": 2, "warmup_steps": 1,
}  # fmt: skip
NEEDS = {
    "cosine_with_min_lr": {"min_lr": 1e-3},
    "cosine_warmup_with_min_lr": {"min_lr_rate": 0.1},
    "warmup_stable_decay": {"num_decay_steps": 2},
}
OFTEN = ("adafactor", "adamw_8bit", "paged_lion_8bit", "galore_adamw", "apollo_adamw", "lomo",
         "schedule_free_adamw", "stable_adamw", "muon")  # fmt: skip
"""One of each kind; the others are for the nights."""


def nightly(names: Any, often: tuple[str, ...]) -> list[Any]:
    return [n if n in often else pytest.param(n, marks=pytest.mark.slow) for n in names]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve samples to train on and three of two datasets to validate on."""
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


@pytest.fixture(scope="module")
def known(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, validated on what is trained on: random samples teach nothing of others."""
    folder = tmp_path_factory.mktemp("known")
    for name in ("train", "validation"):
        shutil.copy(data / "train.parquet", folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize("optim", nightly(WORKING, OFTEN))
def test_optimizers(optim: str, tiny_model: Path, known: Path, tmp_path: Path) -> None:
    changed = {"optim": optim, "lr_scheduler_type": "constant"} if optim in UNSCHEDULED else {}
    params = step(**BASIC | {"optim": optim, "save_steps": 3} | changed)
    found = differences(params, tiny_model, known, tmp_path)
    assert list(found) == ["checkpoint-3", "checkpoint-6"]
    assert not any(found.values()), found
    begun = supervised(params, tiny_model, known, tmp_path / "fresh").evaluate()["eval_loss"]
    assert json.loads((tmp_path / "whole/m.json").read_text())["eval_loss"] < begun


PLATEAUS = ("reduce_lr_on_plateau", "greedy", "cosine_with_min_lr", "warmup_stable_decay")


@pytest.mark.parametrize("name", nightly(SCHEDULERS, PLATEAUS))
def test_schedules(name: str, tiny_model: Path, data: Path, tmp_path: Path) -> None:
    changed = {"lr_scheduler_type": name, "lr_scheduler_kwargs": NEEDS.get(name, {})}
    params = step(**BASIC | changed | {"save_steps": 3})
    found = differences(params, tiny_model, data, tmp_path)
    assert len(found) == 2 and not any(found.values()), found


def test_the_least_rate_is_kept(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    changed = {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 4e-3}}
    trained(step(**BASIC | changed), tiny_model, data, tmp_path / "out", tmp_path / "kept")
    rates = column(tmp_path / "out/l.csv", "learning_rate")
    assert min(rates[1:]) >= 4e-3 and max(rates) == 1e-2


def column(file: Path, name: str) -> list[float]:
    with file.open() as rows:
        return [float(row[name]) for row in csv.DictReader(rows) if row[name]]


def test_each_dataset_has_a_validation_loss_of_its_own(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    trained(step(**BASIC), tiny_model, data, tmp_path / "out", tmp_path / "kept")
    made = json.loads((tmp_path / "out/m.json").read_text())
    assert made["eval_a_loss"] != made["eval_b_loss"]
    assert made["eval_loss"] == pytest.approx((2 * made["eval_a_loss"] + made["eval_b_loss"]) / 3)
    for name in ("eval_loss", "eval_a_loss", "eval_b_loss"):
        looks = column(tmp_path / "out/l.csv", name)
        assert len(looks) == 3 and looks[-1] == made[name]


def test_the_loss_of_a_dataset_is_that_of_its_samples_alone(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    rows = pq.read_table(data / "validation.parquet").to_pylist()
    write_parquet(tmp_path / "one/validation.parquet", "samples",
                  [row for row in rows if row["dataset"] == "a"])  # fmt: skip
    write_parquet(tmp_path / "one/train.parquet", "samples",
                  pq.read_table(data / "train.parquet").to_pylist())  # fmt: skip
    whole = supervised(step(**BASIC), tiny_model, data, tmp_path / "x").evaluate()
    alone = supervised(step(**BASIC), tiny_model, tmp_path / "one", tmp_path / "y").evaluate()
    assert whole["eval_a_loss"] == alone["eval_loss"] and "eval_a_loss" not in alone


WORSE = {
    "learning_rate": 0.3, "lr_scheduler_type": "constant", "num_train_epochs": 4,
    "eval_steps": 2, "save_steps": 3, "warmup_steps": 0,
}  # fmt: skip
"""The validation loss rises: the samples are random, and the steps too large."""


def test_stops_early_and_at_the_same_step_when_resumed(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    changed = WORSE | {"early_stopping_patience": 2}
    found = differences(step(**BASIC | changed), tiny_model, data, tmp_path)
    assert len(found) >= 2 and not any(found.values()), found
    made = json.loads((tmp_path / "whole/m.json").read_text())
    losses = column(tmp_path / "whole/l.csv", "eval_loss")
    assert made["steps"] == 2 * len(losses) < 12
    assert len(losses) == losses.index(min(losses)) + 3


@pytest.mark.parametrize(
    ("tuner", "patience"),
    [
        (BASIC["tuner"], 2),
        ({"type": "full"}, None),
        pytest.param(BASIC["tuner"], None, marks=pytest.mark.slow),
        pytest.param({"type": "full"}, 2, marks=pytest.mark.slow),
    ],
)
def test_what_is_saved_is_the_best(
    tuner: dict[str, Any], patience: int | None, tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    rate = 0.3 if tuner["type"] == "lora" else 0.01
    changed = WORSE | {"tuner": tuner, "learning_rate": rate, "load_best_model_at_end": True}
    params = step(**BASIC | changed | {"early_stopping_patience": patience})
    found = differences(params, tiny_model, data, tmp_path)
    assert {"checkpoint-2", "checkpoint-3", "checkpoint-4"} <= set(found)
    assert not any(found.values()), found
    made = json.loads((tmp_path / "whole/m.json").read_text())
    losses = column(tmp_path / "whole/l.csv", "eval_loss")
    assert made["eval_loss"] == min(losses) < losses[-1]
    assert made["best_step"] == 2 * (losses.index(min(losses)) + 1) < made["steps"]
    kept = tmp_path / f"all/after-{made['best_step']}/checkpoint-{made['best_step']}"
    expected, saved = (weights(folder) for folder in (kept, tmp_path / "whole/adapter"))
    assert expected.keys() == saved.keys()
    assert all(torch.equal(expected[name], saved[name]) for name in expected)


def weights(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def test_the_best_may_be_that_of_one_dataset(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    changed = WORSE | {"load_best_model_at_end": True, "metric_for_best_model": "eval_b_loss"}
    trained(step(**BASIC | changed), tiny_model, data, tmp_path / "out", tmp_path / "kept")
    made = json.loads((tmp_path / "out/m.json").read_text())
    assert made["eval_b_loss"] == min(column(tmp_path / "out/l.csv", "eval_b_loss"))


def test_a_checkpoint_whose_best_is_damaged_is_not_gone_on_from(
    tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = step(**BASIC | WORSE | {"load_best_model_at_end": True})
    expected = trained(params, tiny_model, data, tmp_path / "out", tmp_path / "kept")
    best = json.loads((tmp_path / "out/m.json").read_text())["best_step"]
    file = tmp_path / f"kept/checkpoint-{best}/adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    capsys.readouterr()
    assert trained(params, tiny_model, data, tmp_path / "again", tmp_path / "kept") == expected
    assert "resuming" not in capsys.readouterr().out


def test_a_schedule_free_optimizer_leaves_the_weights_that_it_stands_for(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    """Those of the last look, which the loss is measured on; not those it takes gradients at."""
    changed = {"optim": "schedule_free_adamw", "lr_scheduler_type": "constant", "max_steps": 5}
    params = step(**BASIC | changed | {"eval_steps": 100, "save_steps": 5})
    trained(params, tiny_model, data, tmp_path / "out", tmp_path / "kept")
    said = json.loads((tmp_path / "out/m.json").read_text())["eval_loss"]
    trainer = supervised(params, tiny_model, data, tmp_path / "x")
    trainer.model.load_adapter(tmp_path / "out/adapter", "default")
    assert trainer.evaluate()["eval_loss"] == pytest.approx(said, abs=1e-6)


@pytest.mark.parametrize("more", [{}, {"loraplus_lr_ratio": 4}], ids=["lora", "lora+"])
def test_a_schedule_free_optimizer_warms_up_over_steps_not_over_a_share_of_one(
    more: dict[str, Any], tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    changed = {"optim": "schedule_free_sgd", "lr_scheduler_type": "constant"}
    given = {key: value for key, value in BASIC.items() if key != "warmup_steps"}
    given |= changed | {"warmup_ratio": 0.4, "tuner": BASIC["tuner"] | more}
    trainer = built(step(**given), tiny_model, data, tmp_path)
    trainer.train()
    assert {group["warmup_steps"] for group in trainer.optimizer.param_groups} == {3}  # of 6


@pytest.mark.parametrize(("method", "metric"), [
    ("dpo", "eval_b_loss"), ("reward", "eval_accuracy"),
    pytest.param("orpo", "eval_loss", marks=pytest.mark.slow),
    pytest.param("kto", "eval_loss", marks=pytest.mark.slow),
])  # fmt: skip
def test_preferences_are_watched_by_dataset_and_kept_at_their_best(
    method: str, metric: str, tiny_model: Path, tmp_path: Path
) -> None:
    kind, data = KINDS.get(method, "preference"), write_samples(tmp_path / "data", method, 12)
    held = [row | {"dataset": "ab"[n % 2]} for n, row in enumerate(samples(method, 6, seed=6))]
    write_parquet(data / "validation.parquet", kind, held)
    given = BASIC | {"num_train_epochs": 2, "load_best_model_at_end": True, "learning_rate": 0.05}
    params = step(**given | {"method": method, "metric_for_best_model": metric})
    trained(params, tiny_model, data, tmp_path / "out", tmp_path / "kept")
    made = json.loads((tmp_path / "out/m.json").read_text())
    looks = column(tmp_path / "out/l.csv", metric)
    best = max(looks) if metric == "eval_accuracy" else min(looks)
    assert len(looks) == 3 and made[metric] == best
    assert made["best_step"] == 2 * (looks.index(best) + 1)
    assert made["eval_a_loss"] != made["eval_b_loss"]


@pytest.mark.parametrize(("changed", "planned"), [
    ({"max_steps": 4}, 4),
    ({"max_steps": 4, "num_train_epochs": 1}, 4),
    ({"effective_batch_size": 6}, 4),
    ({"effective_batch_size": 4, "gradient_accumulation_steps": 4}, 6),
    ({"effective_batch_size": 12, "per_device_batch_size": 3}, 2),
])  # fmt: skip
def test_steps(
    changed: dict[str, Any], planned: int, tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    trainer = supervised(step(**BASIC | changed), tiny_model, data, tmp_path)
    trainer.train()
    assert trainer.state.global_step == planned
    size = trainer.args.per_device_train_batch_size * trainer.args.gradient_accumulation_steps
    assert size == step(**BASIC | changed).effective_batch_size


def refused(changed: dict[str, Any], base: Path, data: Path, tmp_path: Path) -> str:
    with pytest.raises(UserError) as caught:
        trained(step(**BASIC | changed), base, data, tmp_path / "out", tmp_path / "kept")
    assert caught.value.exit_status == 2 and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("changed", "said"), [
    ({"load_best_model_at_end": True, "metric_for_best_model": "eval_c_loss"},
     "train.sft.metric_for_best_model: no eval_c_loss is measured; there are eval_loss,"
     " eval_a_loss, eval_b_loss"),
    ({"warmup_steps": 6}, "train.sft.warmup_steps: 6 takes all 6 steps (12 rows, batch 4), so the"
     " learning rate never gets to 0.01; set it to 0, or raise train.sft.num_train_epochs"),
    ({"warmup_steps": 5, "max_steps": 5}, "train.sft.warmup_steps: 5 takes all 5 steps (12 rows,"
     " batch 4), so the learning rate never gets to 0.01; set it to 0, or raise"
     " train.sft.max_steps"),
])  # fmt: skip
def test_refused_before_the_model_is_loaded(
    changed: dict[str, Any], said: str, data: Path, tmp_path: Path
) -> None:
    assert refused(changed, tmp_path / "no model", data, tmp_path) == said


@pytest.mark.parametrize(("changed", "key"), [
    ({"early_stopping_patience": 3}, "early_stopping_patience: 3"),
    ({"load_best_model_at_end": True}, "load_best_model_at_end: true"),
    ({"lr_scheduler_type": "greedy"}, "lr_scheduler_type: greedy"),
])  # fmt: skip
def test_what_watches_the_validation_needs_some(
    changed: dict[str, Any], key: str, data: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    rows = pq.read_table(data / "train.parquet").to_pylist()
    write_parquet(tmp_path / "data/train.parquet", "samples", rows)
    write_parquet(tmp_path / "data/validation.parquet", "samples", [])
    assert refused(changed, tmp_path / "no model", tmp_path / "data", tmp_path) == (
        f"train.sft.{key} needs samples to validate on, and there are none; set data.val_size, or"
        " take it out"
    )


def test_a_patience_longer_than_the_training(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    assert refused({"early_stopping_patience": 2}, tiny_model, data, tmp_path) == (
        "train.sft.early_stopping_patience: 2 looks after the first end at step 6, and the"
        " training at 6; lower train.sft.eval_steps"
    )


def test_a_metric_that_is_not_measured(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    changed = {"load_best_model_at_end": True, "metric_for_best_model": "eval_accuracies"}
    said = refused(changed, tiny_model, data, tmp_path)
    assert said.startswith("train.sft.metric_for_best_model: no eval_accuracies is measured; ")
    assert "eval_a_loss, eval_b_loss, eval_loss" in said


def test_muon_moves_matrices_alone(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    said = refused({"optim": "muon", "tuner": {"type": "full"}}, tiny_model, data, tmp_path)
    assert said.startswith("train.sft.optim: muon moves matrices alone, and model.")
    assert "has 1 dimension; take adamw_torch" in said


def test_a_batch_that_the_devices_cannot_share(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert refused({"effective_batch_size": 10}, tmp_path / "no model", data, tmp_path) == (
        "train.sft.effective_batch_size: 10 is no multiple of 3 devices; take 9 or 12"
    )
