"""A kill costs at most one checkpoint interval and never leaves half an output."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .project import Project

MADE = ("models/adapters/sft", "reports/train/sft")
CHECKPOINTS = ".finery/checkpoints/train-sft"


@pytest.fixture
def untrained(project: Project) -> Project:
    """The pipeline just before its training."""
    project.forget("train@sft", *MADE)
    return project


def test_training_killed_half_way_goes_on_to_the_same_bytes(
    untrained: Project, pipeline: Project
) -> None:
    steps = json.loads(pipeline.read("reports/train/sft/metrics.json"))["steps"]
    kill(untrained, signal.SIGKILL, when=lambda: checkpoints(untrained))
    assert not (untrained.folder / "models/adapters/sft").exists()
    reached = max(checkpoints(untrained))
    assert 0 < reached < steps

    outcome = untrained.repro("train@sft")
    assert (outcome.status, outcome.ran) == (0, {"train@sft"}), outcome.output
    resumed = re.findall(r"resuming from checkpoint-(\d+)", outcome.output)
    assert resumed == [str(reached)]
    assert untrained.contents(*MADE) == pipeline.contents(*MADE)
    assert untrained.repro().ran == set()
    untrained.forget("gate")
    assert untrained.repro("gate").ran == {"gate"}
    assert not checkpoints(untrained), "DVC has the result: the next stage removes them"


def test_a_kill_between_the_end_of_training_and_dvcs_record_of_it_costs_no_step(
    untrained: Project, pipeline: Project
) -> None:
    steps = json.loads(pipeline.read("reports/train/sft/metrics.json"))["steps"]
    kill(untrained, signal.SIGKILL, when=(untrained.folder / "models/adapters/sft").exists)
    outcome = untrained.repro("train@sft")
    assert (outcome.status, outcome.ran) == (0, {"train@sft"}), outcome.output
    assert f"resuming from checkpoint-{steps}\n" in outcome.output
    assert untrained.contents(*MADE) == pipeline.contents(*MADE)


@pytest.mark.parametrize(
    ("sent", "left"), [(signal.SIGINT, set()), (signal.SIGKILL, {".partial-sft"})]
)
def test_an_adapter_half_written_is_never_taken_for_whole(
    untrained: Project, pipeline: Project, sent: signal.Signals, left: set[str]
) -> None:
    adapters, reports = untrained.folder / "models/adapters", untrained.folder / "reports/train/sft"
    others = {path.name for path in adapters.iterdir()}
    kill(untrained, sent, when=(adapters / ".partial-sft").exists)
    assert {path.name for path in adapters.iterdir()} == others | left
    finished = {path.name for path in reports.glob("*")} if reports.exists() else set()
    assert finished <= {".partial-loss.csv", ".partial-loss.png", ".partial-metrics.json"}
    assert sent == signal.SIGKILL or not finished
    last = max(checkpoints(untrained))

    outcome = untrained.repro("train@sft")
    assert (outcome.status, outcome.ran) == (0, {"train@sft"}), outcome.output
    assert f"resuming from checkpoint-{last}\n" in outcome.output
    assert untrained.contents(*MADE) == pipeline.contents(*MADE)
    assert {path.name for path in adapters.iterdir()} == others | {"sft"}


def test_a_checkpoint_of_other_settings_is_not_resumed(
    untrained: Project, pipeline: Project
) -> None:
    epochs = pipeline.setting("train.sft.num_train_epochs")
    steps = json.loads(pipeline.read("reports/train/sft/metrics.json"))["steps"]
    kill(untrained, signal.SIGKILL, when=lambda: checkpoints(untrained))
    untrained.set("train.sft.num_train_epochs", 1)
    outcome = untrained.repro("train@sft")
    assert (outcome.status, outcome.ran) == (0, {"train@sft"}), outcome.output
    assert "resuming" not in outcome.output
    assert json.loads(untrained.read("reports/train/sft/metrics.json"))["steps"] == steps / epochs


def kill(project: Project, sent: signal.Signals, when: Callable[[], object]) -> None:
    """Start training and send a signal to all of its processes as soon as `when` is true."""
    process = project.start_repro("train@sft")
    deadline = time.monotonic() + 300
    while not when():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "training did not get there"
        time.sleep(0.005)
    os.killpg(process.pid, sent)
    process.communicate(timeout=60)
    assert process.returncode != 0


def checkpoints(project: Project) -> list[int]:
    """The steps of the whole checkpoints of the training."""
    marks = (project.folder / CHECKPOINTS).glob("*/checkpoint-*/complete")
    return [int(Path(mark).parent.name.partition("-")[2]) for mark in marks]
