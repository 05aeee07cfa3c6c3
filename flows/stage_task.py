"""One stage as a Prefect task: its outcome, its lines in the log, its progress on the page."""

import re
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from finery.pipeline.process import run_stage
from finery.pipeline.status import reasons

PROGRESS = re.compile(r"\b(\d+)(?:/| of )(\d+)\b")
"""What tqdm (12/80) and the stages' own lines (layer 3 of 30) have in common."""
BAR = re.compile(r"\d+%\|.*\|")
RESTORED = re.compile(r"^Stage '.+' is cached - skipping run")
EXITED = re.compile(r"exited with (\d+)")
EVERY_SECONDS = 2.0
BAR_EVERY_SECONDS = 15.0

_dvc = threading.Lock()
"""DVC is asked by one thread at a time."""


@dataclass(frozen=True)
class Outcome:
    """What became of a stage; `why` is why it ran, or what went wrong."""

    stage: str
    result: Literal["ran", "restored", "cached", "failed", "blocked"]
    why: str = ""
    seconds: float = 0.0
    exit_status: int = 0


@task(name="stage", task_run_name="{stage}")
def stage_task(stage: str, root: Path, unchanged: bool, environment: dict[str, str]) -> Any:
    """Run a stage by DVC if DVC calls it changed; the state's data is its `Outcome`.

    `unchanged` says that this is known already: nothing above it ran. `environment` is added to
    the stage's own.
    """
    why = "" if unchanged else "; ".join(changed(stage, root))
    if not why:
        return Completed(name="Cached", message="unchanged", data=Outcome(stage, "cached"))
    log = StageLog(stage)
    log.line(f"{stage}: {why}")
    start = time.monotonic()
    status = run_stage(stage, log.line, root, environment)
    seconds = time.monotonic() - start
    if status:
        outcome = Outcome(stage, "failed", log.error(), seconds, log.exit_status(status))
        return Failed(message=outcome.why, data=outcome)
    log.finish()
    if log.restored:
        outcome = Outcome(stage, "restored", why, seconds)
        return Completed(name="Restored", message="from DVC's run cache", data=outcome)
    return Completed(message=why, data=Outcome(stage, "ran", why, seconds))


def changed(stage: str, root: Path) -> tuple[str, ...]:
    """Why DVC would run a stage now; nothing if it would not."""
    with _dvc:
        return reasons(stage, root)


class StageLog:
    """A stage's output: every line to the log, a share done to a progress artifact."""

    def __init__(self, stage: str) -> None:
        self.restored = False
        self._stage = stage
        self._logger = get_run_logger()
        self._last = deque[str](maxlen=200)
        self._artifact: UUID | None = None
        self._shown = self._drawn = 0.0

    def line(self, line: str) -> None:
        """Log a line; of a bar that redraws itself, one in fifteen seconds."""
        now = time.monotonic()
        if done := PROGRESS.search(line):
            self._progress(int(done[1]), int(done[2]), line, now)
        if BAR.search(line):
            if now - self._drawn < BAR_EVERY_SECONDS:
                return
            self._drawn = now
        elif line.strip():
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
        """The status that the stage itself ended with, which DVC only mentions."""
        found = EXITED.findall("\n".join(self._last))
        return int(found[-1]) if found else dvc_status

    def _progress(self, done: int, total: int, line: str, now: float) -> None:
        if not 0 < done <= total or now - self._shown < EVERY_SECONDS:
            return
        self._shown, percent = now, 100 * done / total
        if self._artifact:
            update_progress_artifact(self._artifact, progress=percent, description=line.strip())
        else:
            key = re.sub(r"[^a-z0-9]+", "-", self._stage) + "-progress"
            self._artifact = create_progress_artifact(percent, key, line.strip())
