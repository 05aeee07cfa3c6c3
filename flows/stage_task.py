"""One stage as a Prefect task: its outcome, its lines in the log, its progress on the page."""

import re
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed, State

from finery.pipeline.process import run_stage
from finery.pipeline.runs import Outcome
from finery.pipeline.status import reasons

PROGRESS = re.compile(r"\b(\d+)(?:/| of )(\d+)\b")
"""What tqdm (12/80) and the stages' own lines (layer 3 of 30) have in common."""
BAR = re.compile(r"\d+%\|.*\|")
RESTORED = re.compile(r"^Stage '.+' is cached - skipping run")
ADVICE = ("To track the changes", "\tgit add", "To enable auto staging", "\tdvc config", "Use `dvc")
"""What DVC tells a person at a terminal after each stage."""
EXITED = re.compile(r"exited with (-?\d+)")
EVERY_SECONDS = 2.0
BAR_EVERY_SECONDS = 15.0

_dvc = threading.Lock()
"""DVC is asked by one thread at a time."""


@task(name="stage", task_run_name="{stage}")
def stage_task(stage: str, root: Path, unchanged: bool, environment: dict[str, str]) -> Any:
    """Run a stage by DVC if DVC calls it changed; its result is an `Outcome`.

    `unchanged` says that this is known already: nothing above it ran. `environment` is added to
    the stage's own.
    """
    why = "" if unchanged else "; ".join(changed(stage, root))
    if not why:
        return Completed(name="Cached", message="unchanged", data=Outcome(stage, "cached"))
    log = StageLog(stage, why)
    start = time.monotonic()
    status = run_stage(stage, log.line, root, environment)
    seconds = time.monotonic() - start
    if status:
        return Failed(message=f"{log.error()} (exit status {log.exit_status(status)})")
    log.finish()
    if log.restored:
        outcome = Outcome(stage, "restored", why, seconds)
        return Completed(name="Restored", message="from DVC's run cache", data=outcome)
    return Completed(message=why, data=Outcome(stage, "ran", why, seconds))


def outcome_of(stage: str, state: State[Any]) -> Outcome:
    """What the end state of a stage's task says; below a failed one it never leaves NotReady."""
    if state.is_completed():
        return state.result()
    if state.is_pending():
        return Outcome(stage, "blocked", "a stage above it failed")
    why, _, status = (state.message or state.name).rpartition(" (exit status ")
    if not why:  # Prefect's own words: the task crashed or was cancelled
        return Outcome(stage, "failed", status, exit_status=1)
    return Outcome(stage, "failed", why, exit_status=int(status.rstrip(")")))


def changed(stage: str, root: Path) -> tuple[str, ...]:
    """Why DVC would run a stage now; nothing if it would not."""
    with _dvc:
        return reasons(stage, root)


class StageLog:
    """A stage's output: every line to the log, a share done to a progress artifact."""

    def __init__(self, stage: str, why: str) -> None:
        self.restored = False
        self._stage = stage
        self._logger = get_run_logger()
        self._logger.info(f"{stage}: {why}")  # not among the lines that the stage itself says
        self._last = deque[str](maxlen=200)
        self._artifact: UUID | None = None
        self._shown = self._drawn = 0.0

    def line(self, line: str) -> None:
        """Log a line; of a bar that redraws itself, one in fifteen seconds."""
        if not line.strip() or line.startswith(ADVICE):
            return
        now = time.monotonic()
        if done := PROGRESS.search(line):
            self._progress(int(done[1]), int(done[2]), line, now)
        if BAR.search(line):
            if now - self._drawn < BAR_EVERY_SECONDS:
                return
            self._drawn = now
        else:
            self._last.append(line)
            self.restored |= bool(RESTORED.match(line))
        self._logger.info(line.rstrip())

    def finish(self) -> None:
        if self._artifact:
            update_progress_artifact(self._artifact, progress=100.0)

    def error(self) -> str:
        """What the stage said of its failure: its own line, else DVC's, else the last one."""
        for prefix in (f"{self._stage}: ", "ERROR: "):
            if said := [line for line in self._last if line.startswith(prefix)]:
                return said[-1].removeprefix("ERROR: ")
        return self._last[-1] if self._last else "ended without a word"

    def exit_status(self, dvc_status: int) -> int:
        """The status that the stage itself ended with, which DVC only mentions; 137 if killed."""
        found = EXITED.findall("\n".join(self._last))
        status = int(found[-1]) if found else dvc_status
        return status if status >= 0 else 128 - status

    def _progress(self, done: int, total: int, line: str, now: float) -> None:
        if not 0 < done <= total or now - self._shown < EVERY_SECONDS:
            return
        self._shown, percent = now, 100 * done / total
        if self._artifact:
            update_progress_artifact(self._artifact, progress=percent, description=line.strip())
        else:
            key = re.sub(r"[^a-z0-9]+", "-", self._stage) + "-progress"
            self._artifact = create_progress_artifact(percent, key, line.strip())
