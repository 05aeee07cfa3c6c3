"""How a step is computed: contexts stretched and served so, attention, checkpointing, trackers."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from finery.data.prepared import write_parquet
from finery.errors import UserError
from finery.models.load import load_model
from finery.models.rope import RopeError, stretched
from finery.params.merge import MergeParams
from finery.params.train import stretched as times
from finery.training.start import built
from stages.merge import merge
from tests.resuming import differences, trained
from tests.steps import step

BASIC = {
    "tuner": {"type": "lora", "rank": 2, "alpha": 4}, "precision": "fp32", "learning_rate": 1e-2,
    "max_steps": 2, "effective_batch_size": 4, "logging_steps": 1, "warmup_steps": 0,
    "lr_scheduler_type": "constant",
}  # fmt: skip
MORE = ("MLFLOW_TRACKING_URI", "TRACKIO_DIR")
YARN = {"rope_type": "yarn", "factor": 2.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator, folder = torch.Generator().manual_seed(5), tmp_path_factory.mktemp("data")
    rows = torch.randint(5, 300, (8, 24), generator=generator).tolist()
    samples = [{"dataset": "d", "input_ids": ids, "labels": [-100] * 3 + ids[3:]} for ids in rows]
    write_parquet(folder / "train.parquet", "samples", samples[:6])
    write_parquet(folder / "validation.parquet", "samples", samples[6:])
    write_parquet(folder / "calibration.parquet", "samples", samples)
    return folder


def merged(base: Path, data: Path, out: Path) -> Path:
    settings = MergeParams(step="sft", dtype="float32")
    folder, metrics = out / "merged", out / "merge.json"
    merge(settings, "sft", base, out / "adapter", data, merged=folder, metrics=metrics)
    return folder


@pytest.mark.parametrize("tuner", [BASIC["tuner"], {"type": "full"}], ids=["lora", "full"])
@pytest.mark.parametrize("kind", ["linear", "dynamic", "yarn"])
def test_a_stretched_rotation_is_served_as_it_was_trained(
    kind: str, tuner: dict[str, Any], tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    params = step(**BASIC | {"tuner": tuner, "rope_scaling": {"rope_type": kind, "factor": 2.0}})
    out = tmp_path / "out"
    trained(params, tiny_model, data, out, tmp_path / "kept")
    config = json.loads((merged(tiny_model, data, out) / "config.json").read_text())
    rope = config["rope_parameters"]
    assert (rope["rope_type"], rope["factor"]) == (kind, 2.0)
    assert config["max_position_embeddings"] == 512
    ids = torch.arange(5, 305).repeat(2)[None] if kind == "dynamic" else torch.arange(5, 65)[None]
    trainer = built(params, tiny_model, data, tmp_path / "again")
    trainer.train()  # from the beginning, to the same weights
    plain = load_model(out / "merged", "float32", rope_parameters={
        "rope_type": "default", "rope_theta": rope["rope_theta"]})  # fmt: skip
    with torch.no_grad():
        expected, served, other = (
            model.eval()(ids).logits
            for model in (trainer.model, load_model(out / "merged", "float32"), plain)
        )
    assert (served - expected).abs().max() < 1e-5
    assert (other - expected).abs().max() > 1e-3


def test_a_step_after_goes_on_stretched(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    trained(step(**BASIC | {"rope_scaling": YARN}), tiny_model, data, out, tmp_path / "kept")
    start = merged(tiny_model, data, out)
    assert stretched(start, YARN) == {} == stretched(start, None)
    after = built(step(**BASIC), start, data, tmp_path / "x").model
    assert after.config.rope_parameters["rope_type"] == "yarn"
    other = step(**BASIC | {"rope_scaling": YARN | {"factor": 4.0}})
    with pytest.raises(UserError) as caught:
        built(other, start, data, tmp_path / "y")
    assert caught.value.exit_status == 2
    assert str(caught.value) == (
        f"train.sft.rope_scaling: {start}: its rotation is scaled already (yarn, 2 times); take"
        " rope_scaling out"
    )


def test_a_model_without_a_rotation(tmp_path: Path) -> None:
    from transformers import GPT2Config

    GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=16).save_pretrained(tmp_path)
    with pytest.raises(RopeError, match="needs a model with one rotation"):
        stretched(tmp_path, YARN)


def test_the_positions_of_a_chain() -> None:
    steps = {"a": step(), "b": step(after="a", rope_scaling=YARN), "c": step(after="b")}
    assert [times(steps, name) for name in steps] == [1, 2.0, 2.0]


@pytest.mark.parametrize(("asked", "used"), [("auto", "sdpa"), ("eager", "eager")])
def test_attention(asked: str, used: str, tiny_model: Path, data: Path, tmp_path: Path) -> None:
    trainer = built(step(**BASIC | {"attn_implementation": asked}), tiny_model, data, tmp_path)
    assert trainer.model.config._attn_implementation == used
    assert trainer.evaluate()["eval_loss"] == pytest.approx(6.0, abs=0.2)


def test_gradient_checkpointing_of_some_layers(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    own = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"every_n_layers": 2}}
    params, plain = step(**BASIC | own | {"save_steps": 1}), step(**BASIC | {"save_steps": 1})
    trainer = built(params, tiny_model, data, tmp_path / "x")
    trainer.train()
    layers = trainer.model.get_base_model().model.layers
    assert [layer.gradient_checkpointing for layer in layers] == [True, False]
    found = differences(params, tiny_model, data, tmp_path)
    assert len(found) == 2 and not any(found.values()), found
    same = trained(plain, tiny_model, data, tmp_path / "plain", tmp_path / "none")
    assert (
        same["adapter/adapter_model.safetensors"]
        == (tmp_path / "whole/adapter/adapter_model.safetensors").read_bytes()
    )


@pytest.mark.slow
def test_compiled(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    params = step(**BASIC | {"torch_compile": True, "save_steps": 1})
    found = differences(params, tiny_model, data, tmp_path)
    assert len(found) == 2 and not any(found.values()), found


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to log in, and the environment as it was afterwards."""
    for name in ("TENSORBOARD_LOGGING_DIR", "WANDB_MODE", "WANDB_DIR", "WANDB_SILENT", *MORE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_trackers_log_outside_the_outputs_and_change_nothing_of_them(
    tiny_model: Path, data: Path, tmp_path: Path, elsewhere: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    plain = trained(step(**BASIC), tiny_model, data, tmp_path / "plain", tmp_path / "none")
    assert not list(elsewhere.iterdir())
    names = ["tensorboard", *(["dvclive"] if has("dvclive") else [])]
    params = step(**BASIC | {"report_to": names})
    assert trained(params, tiny_model, data, tmp_path / "out", tmp_path / "kept") == plain
    assert os.listdir(elsewhere) == [".finery"]
    logs = elsewhere / ".finery/logs/sft"
    events = EventAccumulator(str(logs / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2]
    assert events.Scalars("eval/loss")[-1].value > 1
    if has("dvclive"):
        assert "eval" in json.loads((logs / "dvclive/metrics.json").read_text())


def has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def test_wandb_logs_offline(tiny_model: Path, data: Path, tmp_path: Path, elsewhere: Path) -> None:
    pytest.importorskip("wandb")
    params = step(**BASIC | {"report_to": ["wandb"]})
    trained(params, tiny_model, data, tmp_path / "out", tmp_path / "kept")
    assert list((elsewhere / ".finery/logs/sft/wandb").rglob("offline-run-*/*.wandb"))


def test_mlflow_logs_offline(tiny_model: Path, data: Path, tmp_path: Path, elsewhere: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    plain = trained(step(**BASIC), tiny_model, data, tmp_path / "plain", tmp_path / "none")
    params = step(**BASIC | {"report_to": ["mlflow"]})
    assert trained(params, tiny_model, data, tmp_path / "out", tmp_path / "kept") == plain
    store = f"sqlite:///{elsewhere.resolve()}/.finery/logs/sft/mlflow/mlflow.db"
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [each.step for each in losses] == [1, 2] and losses[0].value > 1
    assert os.listdir(elsewhere) == [".finery"]


def test_trackio_logs_offline(
    tiny_model: Path, data: Path, tmp_path: Path, elsewhere: Path
) -> None:
    """In a process of its own: once it is imported, where it logs is settled."""
    if not has("trackio"):
        pytest.skip("could not import 'trackio'")
    code = (
        "import sys; from pathlib import Path; from tests.resuming import trained;"
        "from tests.stages.test_train_engine import BASIC, step;"
        "params = step(**BASIC | {'report_to': ['trackio']});"
        "trained(params, *map(Path, sys.argv[1:]))"
    )
    folders = (tiny_model, data, tmp_path / "out", tmp_path / "kept")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-c", code, *map(str, folders)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    plain = trained(step(**BASIC), tiny_model, data, tmp_path / "plain", tmp_path / "none")
    weights = "adapter/adapter_model.safetensors"
    assert (tmp_path / "out" / weights).read_bytes() == plain[weights]
    (store,) = (elsewhere / ".finery/logs/sft/trackio").glob("*.db")
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("select step, metrics from metrics order by step").fetchall()
    said = [json.loads(metrics) for _, metrics in rows]
    losses = {
        each["train/global_step"]: each["train/loss"] for each in said if "train/loss" in each
    }
    assert list(losses) == [1, 2] and losses[1] > 1
    assert os.listdir(elsewhere) == [".finery"]


@pytest.mark.parametrize(("changed", "said"), [
    ({"use_liger_kernel": True}, "use_liger_kernel: true needs a GPU, and there is none here; take"
     " it out"),
    ({"attn_implementation": "flash_attention_2"}, "attn_implementation: flash_attention_2 needs a"
     " GPU, and there is none here; take it out"),
    *(
        ({"report_to": [name]}, f"report_to: {name} needs the package {name}; pip install"
         f" 'finery[{name}]' -c constraints.txt")
        for name in ("tensorboard", "wandb", "mlflow", "swanlab", "trackio", "dvclive")
    ),
])  # fmt: skip
def test_what_is_not_here_is_said_before_the_model_is_loaded(
    changed: dict[str, Any], said: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finery.params.extras.GPUS", ("/dev/no such",))
    monkeypatch.setattr("finery.params.extras.find_spec", lambda module: None)
    with pytest.raises(UserError) as caught:
        trained(step(**changed), tmp_path / "no model", data, tmp_path / "out", tmp_path / "kept")
    assert caught.value.exit_status == 2 and str(caught.value) == f"train.sft.{said}"


def test_flash_attention_in_single_precision(data: Path, tmp_path: Path) -> None:
    from finery.training.engine import model_settings

    params = step(**BASIC | {"attn_implementation": "flash_attention_2"})
    with pytest.raises(UserError, match=r"train\.sft\.precision: bf16"):
        model_settings(params, tmp_path, "float32")
