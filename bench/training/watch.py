"""A Trainer callback for both sides: when steps begin and end, by the clock and in CPU seconds."""

import atexit
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import psutil
from transformers import TrainerCallback


class Watch(TrainerCallback):
    """Writes JSON to the file that WATCHED names, when the process ends."""

    def __init__(self) -> None:
        self.begun = self.first = self.last = (0.0, 0.0)
        self.steps = 0
        atexit.register(self._write)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begun = self.begun if self.steps else _now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps += 1
        self.last = _now()

    def _write(self) -> None:
        if self.steps:
            wall, cpu = (end - start for start, end in zip(self.begun, self.last, strict=True))
            found = {
                "steps": self.steps, "seconds": wall, "cpu": cpu, "to_first": self.begun[0],
                "to_first_cpu": self.begun[1],
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }  # fmt: skip
            Path(os.environ["WATCHED"]).write_text(json.dumps(found))


def _now() -> tuple[float, float]:
    """Seconds since this process began, and those that it computed."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.time() - psutil.Process().create_time(), used.ru_utime + used.ru_stime
