"""Any signal to any process at any moment: nothing lives on, and the next run ends the same."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from finery.pipeline.recovery import recover

from .killing import COMMANDS, WRITTEN, Point, Run, survivors, timings_of, written
from .project import Project

SHORT = (4, 12, 16, 19, 22)
LONG = 25
POINTS = [
    pytest.param(
        Point.drawn(seed),
        id=f"{seed}-{Point.drawn(seed)}",
        marks=[] if seed in SHORT else [pytest.mark.slow],
    )
    for seed in range(LONG)
]
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
    undo(project, point.stage)
    run = Run(project, point, prefect)
    run.wait_until(point.moment, point.share, dict(timings_of(pipeline)))
    run.hit(point.victim, point.sent)
    run.process.wait(timeout=300)  # DVC itself ignores an interrupt while a stage runs
    assert survivors(project, seconds=5) == [], run.output()
    before = written(project)
    time.sleep(1)
    assert written(project) == before

    checkpoints = list(project.folder.glob(".finery/checkpoints/train/*/*/complete"))
    output = finish(project, point.runner, prefect)
    if checkpoints and "Running stage 'train'" in output:
        assert "resuming from checkpoint-" in output
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


def undo(project: Project, stage: str) -> None:
    """The project as it was before the stage ever ran; what is below it is up to date."""
    with Repo(str(project.folder)) as repo:
        outputs = [str(out.def_path) for out in repo.stage.load_one(name=stage).outs]
    project.forget(stage, *outputs)
    forgotten = subprocess.run(
        [sys.executable, "-m", "dvc", "gc", "--workspace", "--force", "--quiet"],
        cwd=project.folder,
        env=project.environment(),
    )
    assert forgotten.returncode == 0
