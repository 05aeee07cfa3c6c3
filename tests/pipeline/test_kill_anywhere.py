"""Any signal to any process at any moment: nothing lives on, and the next run ends the same."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from signal import SIGINT, SIGKILL, SIGTERM
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from finery.pipeline.recovery import recover

from .killing import COMMANDS, WRITTEN, Point, Run, checkpoints, survivors, written
from .project import Project

# Training sft has six steps an epoch and saves each fourth: 8, 16, 20 and 28 are in the middle of a
# later one; dpo, after it, three, and saves each second. That each resumes from every step alike,
# tests/stages/test_train.py and tests/finery/training hold.
CHAIN = ("train@sft", "merge@sft")
QUICK = [
    Point("dvc", "train@dpo", "checkpoint-2", "stage", SIGKILL),
    Point("finery", "train@sft", "checkpoint-16", "run", SIGTERM),
    Point("finery", "train@sft", "checkpoint-28", "dvc", SIGKILL, "/bin/sh"),
    Point("dvc", "prepare@sft", "commit", "run", SIGKILL),
]
SLOW = [
    Point("dvc", "train@sft", "checkpoint-8", "stage", SIGKILL),
    Point("dvc", "train@sft", "checkpoint-20", "terminal", SIGINT),
    Point("dvc", "train@sft", "checkpoint-16", "run", SIGTERM, "/bin/sh"),
    Point("finery", "train@sft", "checkpoint-8", "terminal", SIGINT),
    Point("finery", "train@sft", "checkpoint-20", "run", SIGKILL),
    Point("dvc", "train@sft", "commit", "terminal", SIGKILL),
    Point("finery", "train@sft", "commit", "dvc", SIGTERM),
    Point("dvc", "merge@sft", "half", "stage", SIGTERM),
    Point("dvc", "train@dpo", "checkpoint-4", "terminal", SIGKILL, above=CHAIN),
    Point("finery", "train@dpo", "commit", "run", SIGKILL, above=CHAIN),
    Point("finery", "merge@dpo", "half", "terminal", SIGINT),
    Point("finery", "quantize@gptq", "stage", "run", SIGINT),
    Point("dvc", "quantize@awq", "half", "terminal", SIGKILL, "/bin/sh"),
    Point("finery", "evaluate@base", "dvc", "dvc", SIGINT),
    Point("finery", "package@merged", "commit", "run", SIGKILL),
]
POINTS = [pytest.param(point, id=str(point)) for point in QUICK]
POINTS += [pytest.param(point, id=str(point), marks=pytest.mark.slow) for point in SLOW]
BLOCKED = ("dvc.lock", "RWLock")
"""Files that DVC writes in place. A kill in these milliseconds is healed by `finery run`."""


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment of a flow that reports to a Prefect server of the tests' own."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        patch.delenv("PREFECT_API_URL", raising=False)
        from prefect.settings import PREFECT_HOME, temporary_settings

        from flows import server

        patch.setattr(server, "PORT", server._any_free_port())
        patch.setattr(server, "LOG", home / "server.log")
        with temporary_settings({PREFECT_HOME: home}), server.server() as page:
            yield {"PREFECT_HOME": str(home), "PREFECT_API_URL": f"{page}/api"}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_anywhere(
    point: Point, project: Project, pipeline: Project, prefect: Mapping[str, str]
) -> None:
    undo(project, *point.above, point.stage)
    run = Run(project, point, prefect)
    run.wait_until(point.moment)
    run.hit(point.victim, point.sent)
    run.process.wait(timeout=300)  # DVC itself ignores an interrupt while a stage runs
    assert survivors(project, seconds=5) == [], run.output()
    before = written(project)
    time.sleep(1)
    assert written(project) == before

    reached = max(checkpoints(project, point.stage), default=0)
    output = finish(project, point.runner, prefect)
    resumed = re.findall(r"resuming from checkpoint-(\d+)", output)
    if point.moment.startswith("checkpoint-"):
        assert resumed == [str(reached)] and reached >= int(point.moment.partition("-")[2])
    again = f"Running stage '{point.stage}'" in output
    assert reached == 0 or not again or resumed == [str(reached)]
    assert project.contents(*WRITTEN) == pipeline.contents(*WRITTEN)
    assert locked(project) == locked(pipeline)


def finish(project: Project, runner: str, prefect: Mapping[str, str]) -> str:
    """Run all that is not up to date, to the end; what was said."""
    done = run_all(project, runner, prefect)
    if done.returncode and runner == "dvc":
        assert any(file in done.stdout for file in BLOCKED), done.stdout
        assert recover(project.folder)
        done = run_all(project, runner, prefect)
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_all(
    project: Project, runner: str, prefect: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *COMMANDS[runner]],
        cwd=project.folder,
        env=project.environment() | prefect,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


def locked(project: Project) -> dict[str, Any]:
    """What dvc.lock says, in whatever order the stages ran."""
    return YAML(typ="safe").load(project.read("dvc.lock"))


def undo(project: Project, *stages: str) -> None:
    """The project as it was before the stages ever ran; what is below them is up to date."""
    graph = str(project.folder / "dvc.yaml")
    for stage in stages:
        with Repo(str(project.folder)) as repo:
            outs = repo.stage.load_one(path=graph, name=stage).outs
        project.forget(stage, *(str(out.def_path) for out in outs))
    forgotten = subprocess.run(
        [sys.executable, "-m", "dvc", "gc", "--workspace", "--force", "--quiet"],
        cwd=project.folder,
        env=project.environment(),
    )
    assert forgotten.returncode == 0
