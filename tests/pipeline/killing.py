"""Where, when, how and of what a run is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from .project import Project

WRITTEN = ("models", "data/prepared", "reports")
COMMANDS = {"dvc": ["-m", "dvc", "repro"], "finery": ["-m", "flows.pipeline"]}
PROGRAMS = {"dvc": ("dvc", "finery.pipeline.dvc_server"), "stage": ("stages.",)}
"""How the names of the modules begin that Python runs: DVC's own, or the one that loads it."""
PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Point:
    """A run of one stage by `runner`, and what is sent to whom of it as soon as `moment` comes.

    The moments: `dvc` runs, the `stage` runs, an output of it is `half` written, it has ended and
    DVC will `commit`; and for the training, `checkpoint-N` is there. `bash` becomes the stage, `sh`
    may stay above it. Stages `above` it run first, and their moments count, but for checkpoints.
    """

    runner: str
    stage: str
    moment: str
    victim: str
    sent: signal.Signals
    shell: str = "/bin/bash"
    above: tuple[str, ...] = ()

    def __str__(self) -> str:
        stages = "-".join([*self.above, self.stage])
        return f"{self.runner}-{stages}-{self.moment}-{self.sent.name}-to-{self.victim}"


class Run:
    """A run under way in a project."""

    def __init__(self, project: Project, point: Point, environment: Mapping[str, str]) -> None:
        self.project, self.stage = project, point.stage
        self._log = project.folder / ".finery/killed.log"
        self._log.parent.mkdir(exist_ok=True)
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *COMMANDS[point.runner], point.stage],
                cwd=project.folder,
                env=project.environment() | environment | {"SHELL": point.shell},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return self._log.read_text()

    def wait_until(self, moment: str) -> None:
        """Until the moment has come. A run that ends before fails the test."""
        ended, deadline = len(ended_in(self.project)), time.monotonic() + PATIENCE
        while not self._has_come(moment, ended):
            assert self.process.poll() is None, f"{moment} never came: {self.output()}"
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.005)

    def _has_come(self, moment: str, ended: int) -> bool:
        match moment.partition("-"):
            case "checkpoint", _, step:
                return max(checkpoints(self.project, self.stage), default=0) >= int(step)
            case "commit", _, _:
                return len(ended_in(self.project)) > ended
            case "half", _, _:
                written = (self.project.folder / path for path in WRITTEN)
                return any(file for path in written for file in path.rglob(".partial-*"))
            case _:
                return self.find(moment) is not None

    def hit(self, victim: str, sent: signal.Signals) -> None:
        """Send the signal to the victim, or to the run if there is no such process just now."""
        found = self.find(victim) if victim in PROGRAMS else None
        try:
            if victim == "terminal":
                os.killpg(self.process.pid, sent)
            else:
                os.kill(found.pid if found else self.process.pid, sent)
        except ProcessLookupError:
            pass

    def find(self, program: str) -> psutil.Process | None:
        """The process of DVC or of the stage in this run, not a shell's."""
        for process in processes(self.project):
            try:
                command = process.cmdline()
            except psutil.Error:
                continue
            if "-m" in command and command[command.index("-m") + 1].startswith(PROGRAMS[program]):
                return process
        return None


def checkpoints(project: Project, stage: str) -> list[int]:
    """The steps of the whole checkpoints of a stage; none if it is no training."""
    folder = project.folder / ".finery/checkpoints" / stage.replace("@", "-")
    marks = folder.glob("*/checkpoint-*/complete")
    return [int(mark.parent.name.partition("-")[2]) for mark in marks]


def processes(project: Project) -> list[psutil.Process]:
    """All that lives in the folder of the project."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(project.folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def survivors(project: Project, seconds: float) -> list[str]:
    """The command lines of what still lives in the project after so long."""
    deadline = time.monotonic() + seconds
    while (found := processes(project)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [" ".join(process.cmdline()) for process in found if process.is_running()]


def written(project: Project) -> dict[str, tuple[int, int]]:
    """The time and size of every file that stages write."""
    files = [file for path in WRITTEN for file in (project.folder / path).rglob("*")]
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in files}


def ended_in(project: Project) -> list[str]:
    """The stages that came to their end, in that order."""
    lines = (project.folder / ".finery/timings.jsonl").read_text().splitlines()
    return [json.loads(line)["stage"] for line in lines]
