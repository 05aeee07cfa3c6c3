"""Where, when, how and of what a run is killed: points drawn at random, the same for a seed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from .project import Project

WRITTEN = ("models", "data/prepared", "reports")
STAGES = {"train": 6, "prepare": 1, "merge": 1, "quantize@gptq": 1, "quantize@awq": 1}
STAGES |= {"evaluate@base": 1, "evaluate@awq": 1, "gate": 1, "package@merged": 1}
"""The stages to kill, and how often: training is the longest, and goes on from where it was."""
MOMENTS = {"start": 1, "stage": 3, "commit": 2}
COMMANDS = {"dvc": ["-m", "dvc", "repro"], "finery": ["-m", "flows.pipeline"]}


@dataclass(frozen=True)
class Point:
    """A run of one stage by `runner` and the share of a phase of it after which it is hit."""

    runner: str
    stage: str
    moment: str
    share: float
    victim: str
    sent: signal.Signals
    shell: str

    @classmethod
    def drawn(cls, seed: int) -> "Point":
        draw = random.Random(seed)
        return cls(
            runner=draw.choice(sorted(COMMANDS)),
            stage=draw.choices(list(STAGES), list(STAGES.values()))[0],
            moment=draw.choices(list(MOMENTS), list(MOMENTS.values()))[0],
            share=round(draw.random(), 2),
            victim=draw.choice(["run", "dvc", "stage", "terminal"]),
            sent=draw.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL]),
            shell=draw.choice(["/bin/bash", "/bin/sh"]),  # bash becomes the stage, sh may not
        )

    def __str__(self) -> str:
        at = f"{self.moment}+{self.share}"
        return f"{self.runner}-{self.stage}-{at}-{self.sent.name}-to-{self.victim}"


class Run:
    """A run under way in a project."""

    def __init__(self, project: Project, point: Point, environment: Mapping[str, str]) -> None:
        self.project = project
        self.stage = point.stage
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

    def wait_until(self, moment: str, share: float, timings: Mapping[str, float]) -> None:
        """Until the moment, or until the run has ended by itself."""
        ended = len(timings_of(self.project))
        if moment == "start":
            self._wait(lambda: True, share * 4)
        elif moment == "stage":
            self._wait(lambda: self.find("stages."), share * (timings[self.stage] + 1))
        else:
            self._wait(lambda: len(timings_of(self.project)) > ended, share * 1.5)

    def hit(self, victim: str, sent: signal.Signals) -> None:
        """Send the signal to the victim, or to the run if there is no such process just now."""
        found = {"dvc": self.find("dvc"), "stage": self.find("stages.")}.get(victim)
        try:
            if victim == "terminal":
                os.killpg(self.process.pid, sent)
            else:
                os.kill(found.pid if found else self.process.pid, sent)
        except ProcessLookupError:
            pass

    def find(self, word: str) -> psutil.Process | None:
        """The process of this run with such a command line: DVC's or the stage's, not a shell's."""
        for process in processes(self.project):
            try:
                command = process.cmdline()
            except psutil.Error:
                continue
            if "-m" in command and command[command.index("-m") + 1].startswith(word):
                return process
        return None

    def _wait(self, when: Callable[[], object], seconds: float) -> None:
        deadline = time.monotonic() + 300
        while not when() and self.process.poll() is None:
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.02)
        time.sleep(seconds)


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


def timings_of(project: Project) -> list[tuple[str, float]]:
    """The seconds of every stage that came to its end."""
    lines = (project.folder / ".finery/timings.jsonl").read_text().splitlines()
    return [(each["stage"], each["seconds"]) for each in map(json.loads, lines)]
