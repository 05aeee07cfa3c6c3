"""Several processes train a step: the losses of one, the same bytes after a kill, no orphan."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from ruamel.yaml import YAML

from finery.errors import PipelineError
from finery.training.errors import TrainingError
from finery.training.processes import (
    NO_PEERS,
    ProcessError,
    processes_for,
    spare_consumer_cards,
    together,
)
from stages.train import train
from tests.stages.test_train import BASIC, write_samples
from tests.steps import step

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120
OFTEN = BASIC | {"num_train_epochs": 2, "logging_steps": 1, "eval_steps": 4, "save_steps": 4}
LORA, FULL = {"type": "lora", "rank": 2, "alpha": 4, "dropout": 0.0}, {"type": "full"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """23 samples, so that the last step of an epoch of 4 at once is not full; 7 to validate on."""
    return write_samples(tmp_path_factory.mktemp("together"), validation=7)


def trained(
    settings: dict[str, Any], base: Path, data: Path, out: Path, processes: int | None
) -> dict[str, bytes]:
    """The bytes of all that the stage leaves; its checkpoints stay in `out`/kept."""
    out.mkdir(exist_ok=True)
    names = {"adapter": "made/adapter", "loss": "made/l.csv", "plot": "made/l.png",
             "metrics": "made/m.json"}  # fmt: skip
    (out / "made").mkdir()
    paths = {key: out / name for key, name in names.items()}
    params = step(**OFTEN | settings)
    train(params, "sft", base, data, processes, checkpoints=out / "kept", **paths)
    files = (file for file in (out / "made").rglob("*") if file.is_file())
    return {str(file.relative_to(out)): file.read_bytes() for file in files}


def losses(made: dict[str, bytes]) -> list[tuple[str, float, float]]:
    rows = csv.DictReader(made["made/l.csv"].decode().splitlines())
    return [(row["step"], float(row["loss"]), float(row["eval_loss"] or 0)) for row in rows]


@pytest.fixture(scope="module")
def alone(tiny_model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The losses of one process, by the tuner."""
    folder = tmp_path_factory.mktemp("alone")
    return {
        tuner["type"]: losses(
            trained({"tuner": tuner}, tiny_model, data, folder / tuner["type"], None)
        )
        for tuner in (LORA, FULL)
    }


@pytest.mark.parametrize("tuner", [LORA, FULL], ids=["lora", "full"])
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_learn_what_one_does_and_resume_to_the_byte(
    kind: str,
    tuner: dict[str, Any],
    tiny_model: Path,
    data: Path,
    alone: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settings = {"distributed": kind, "tuner": tuner}
    whole = trained(settings, tiny_model, data, tmp_path / "whole", 2)
    for found, expected in zip(losses(whole), alone[tuner["type"]], strict=True):
        assert found == pytest.approx(expected, abs=2e-5), (found, expected)

    left = tmp_path / "killed" / "kept"
    shutil.copytree(tmp_path / "whole" / "kept", left)
    shutil.rmtree(left / "checkpoint-12")
    capfd.readouterr()
    again = trained(settings, tiny_model, data, tmp_path / "killed", 2)
    assert capfd.readouterr().out.startswith("resuming from checkpoint-8\n")
    assert sorted(again) == sorted(whole)
    assert [name for name in whole if again[name] != whole[name]] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"per_device_batch_size": 2, "gradient_accumulation_steps": 2},
        {"per_device_batch_size": 1, "gradient_accumulation_steps": 4, "seed": 7},
        {"distributed": "fsdp2", "quantization": {"method": "bnb"}},
        {"effective_batch_size": 6, "gradient_accumulation_steps": None,
         "per_device_batch_size": None, "packed": True},
    ],
    ids=["accumulated", "one at once", "4 bits", "packed"],
)  # fmt: skip
@pytest.mark.slow
def test_however_a_step_is_shared(
    settings: dict[str, Any], tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    settings, samples = dict(settings), tmp_path / "data"
    shutil.copytree(data, samples)
    if settings.pop("packed", False):
        (samples / "lineage.json").write_text('{"prepare@sft": {"packed_to": 64}}\n')
    settings = {"distributed": "ddp"} | settings
    one = losses(trained(settings, tiny_model, samples, tmp_path / "one", 1))
    two = losses(trained(settings, tiny_model, samples, tmp_path / "two", 2))
    for found, expected in zip(two, one, strict=True):
        assert found == pytest.approx(expected, abs=2e-5)


def fails_in_one(_: Path) -> None:
    if os.environ["RANK"] == "1":
        raise TrainingError("step 3 of 4: the loss is nan")
    time.sleep(PATIENCE)


def ends_in_one(_: Path) -> None:
    if os.environ["RANK"] == "0":
        os._exit(9)
    time.sleep(PATIENCE)


def test_an_error_of_one_process_ends_all(tmp_path: Path) -> None:
    begun, before = time.monotonic(), psutil.Process().children()
    with pytest.raises(TrainingError, match=r"^step 3 of 4: the loss is nan$"):
        together(2, fails_in_one, tmp_path)
    with pytest.raises(PipelineError, match=r"^a process of 2 has ended: process 0 terminated"):
        together(2, ends_in_one, tmp_path)
    assert time.monotonic() - begun < PATIENCE / 4
    assert psutil.Process().children() == before


def writes_its_place(folder: Path) -> None:
    from torch import distributed

    distributed.init_process_group("gloo")
    total = torch.tensor([2.0 ** int(os.environ["RANK"])])
    distributed.all_reduce(total)
    (folder / os.environ["RANK"]).write_text(f"{total.item():g} {os.environ['LOCAL_RANK']}")


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_the_processes_of_a_machine_meet(method: str, tmp_path: Path) -> None:
    together(3, writes_its_place, tmp_path, start_method=method)
    found = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert found == {"0": "7 0", "1": "7 1", "2": "7 2"}


def test_without_a_gpu_one_process_trains_unless_both_settings_ask_for_more() -> None:
    assert processes_for(step(**OFTEN), 2) == 1
    assert processes_for(step(**OFTEN, distributed="none"), 2) == 1
    assert processes_for(step(**OFTEN, distributed="ddp"), None) == 1
    assert processes_for(step(**OFTEN, distributed="ddp"), 2) == 2
    with pytest.raises(ProcessError) as refused:
        processes_for(step(**OFTEN, distributed="fsdp2"), 3)
    assert str(refused.value) == (
        "resources.processes: 3 cannot share the 4 samples of a step of train.sft evenly; take a"
        " number that divides 4, or another effective_batch_size"
    )


def test_consumer_cards_are_spared_what_hangs_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NO_PEERS:
        monkeypatch.setenv(name, "")  # so that it is unset again
        monkeypatch.delenv(name)
    spare_consumer_cards(["NVIDIA GeForce RTX 4090"])
    spare_consumer_cards(["NVIDIA H100 80GB HBM3"] * 2)
    assert not set(NO_PEERS) & set(os.environ) and capsys.readouterr().out == ""
    monkeypatch.setenv("NCCL_IB_DISABLE", "0")
    spare_consumer_cards(["NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 3090"])
    assert (os.environ["NCCL_P2P_DISABLE"], os.environ["NCCL_IB_DISABLE"]) == ("1", "0")
    said = "2 x NVIDIA GeForce RTX 3090: NCCL_P2P_DISABLE set to 1, or NCCL may hang\n"
    assert capsys.readouterr().out == said


def started(folder: Path, base: Path, data: Path) -> subprocess.Popen[bytes]:
    """The stage by its command line, by two processes and for long, in a session of its own."""
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    params["train"]["sft"] |= {
        "distributed": "ddp", "num_train_epochs": 500, "save_steps": 5, "logging_steps": 1
    }  # fmt: skip
    params["resources"]["processes"] = 2
    folder.mkdir()
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    command = [sys.executable, "-m", "stages.train", "--step", "sft", "--start", base]
    command += ["--data", data, "--adapter", "adapter", "--loss", "l.csv", "--plot", "l.png"]
    command += ["--metrics", "m.json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("DVC_STAGE", None)
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )


@pytest.mark.parametrize(
    "sent",
    [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL],
    ids=["Ctrl-C", "kill -9"],
)
def test_no_process_outlives_the_stage(
    sent: signal.Signals, tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    stage = started(tmp_path / "project", tiny_model, data)
    try:
        kept, deadline = tmp_path / "project/.finery/checkpoints", time.monotonic() + PATIENCE
        while not any(kept.rglob("complete")) and stage.poll() is None:
            assert time.monotonic() < deadline, (tmp_path / "project/log").read_text()
            time.sleep(0.2)
        log = (tmp_path / "project/log").read_text()
        assert stage.poll() is None, log
        members = psutil.Process(stage.pid).children(recursive=True)
        assert len(members) >= 2
        if sent == signal.SIGINT:
            os.killpg(stage.pid, sent)  # as a terminal does
        else:
            stage.send_signal(sent)
        assert stage.wait(20) == (130 if sent == signal.SIGINT else -sent)
        _, alive = psutil.wait_procs(members, timeout=20)
        assert alive == []
        log = (tmp_path / "project/log").read_text()
        assert "Traceback" not in log, log
        assert ("train: interrupted; the next run goes on" in log) == (sent == signal.SIGINT)
    finally:
        stage.kill()
