"""GPTQModel prints megabytes of bars: they go to a file, one line of progress to the terminal."""

import re
import time
from pathlib import Path

LAYER = re.compile(rb"Quantizing layer (\d+) of (\d+)")


class Progress:
    """Reads a growing log, and tells the layer it has come to."""

    def __init__(self, log: Path) -> None:
        self._log, self._start, self._offset = log, time.monotonic(), 0
        self._reached: tuple[int, int] | None = None

    @property
    def layer(self) -> str | None:
        """Such as "layer 3 of 30"; None before the first."""
        return f"layer {self._reached[0] + 1} of {self._reached[1] + 1}" if self._reached else None

    def advance(self) -> str | None:
        """A line of progress, if the log has come to another layer since the last time."""
        with self._log.open("rb") as stream:
            stream.seek(self._offset)
            text = stream.read()
        self._offset += len(text)
        found = [(int(layer), int(final)) for layer, final in LAYER.findall(text)]
        if not found or found[-1] == self._reached:
            return None
        self._reached = found[-1]
        return f"{self.layer}{_left(*self._reached, time.monotonic() - self._start)}"


def _left(layer: int, final: int, seconds: float) -> str:
    """The log counts layers from 0; what is done is known once the first one is."""
    if not layer:
        return ""
    each = seconds / layer
    return f", {each:.1f} s each, {each * (final + 1 - layer):.0f} s left"
