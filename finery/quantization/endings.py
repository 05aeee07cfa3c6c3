"""Why a quantizer's process ended before its work did, in one line."""

import errno
import json
import re
import signal
from pathlib import Path

from finery.errors import UserError
from finery.quantization.fitting import UnfitError
from finery.quantization.quantizer import MORE_ROOM, QuantizerError

LONGEST = 400  # characters of a reason
TAIL = 20_000  # bytes of a log in which the last words are
NO_DISK = re.compile("No space left on device|Disk quota exceeded")
NO_MEMORY = re.compile(
    r"MemoryError|out of memory|allocate memory|bad_alloc|failed to map segment", re.IGNORECASE
)
NO_NUMBER = re.compile(r"\b(is)?(nan|inf|finite)\b|_compute_best_scale", re.IGNORECASE)
"""The last is where AWQ gives up, without a word, if every scale that it tries gives NaN."""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LESS = "calibrate on fewer or shorter samples (data.calibration_samples, cutoff_len)"


def ending(status: int, answer: str, layer: str | None, log: Path) -> Exception:
    """The error to raise for a process that ended with `status`, negative for a signal.

    `answer` is what it said of its end, as JSON lines, if it came to that; `layer` is how far it
    was. A full disk is an `OSError`, for which a stage has its own words.
    """
    told = json.loads(answer.splitlines()[0]) if answer else None
    if told and told["known"]:
        return (UnfitError if status == UserError.exit_status else QuantizerError)(told["said"])
    said = told["said"] if told else _last_words(log)
    where = f"in {layer}" if layer else "before its first layer"
    if NO_DISK.search(said):
        return OSError(errno.ENOSPC, "No space left on device")
    if NO_MEMORY.search(said):
        return QuantizerError(f"the memory is full {where}: free some, or {LESS}")
    if status == -signal.SIGKILL:
        return QuantizerError(
            f"killed {where}, as the system does when memory is full: free some, or {LESS}"
        )
    by = f"{signal.Signals(-status).name}: " if status < 0 else ""
    advice = f" ({MORE_ROOM})" if NO_NUMBER.search(said) else ""
    return QuantizerError(f"GPTQModel failed {where}: {by}{_line(said)}{advice}; its log is {log}")


def _line(said: str) -> str:
    text = " ".join(said.split()) or "it did not say why"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _last_words(log: Path) -> str:
    """The last line of a log that says something: bars overwrite theirs, and rule tables."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL))
        text = CONTROL.sub("", stream.read().decode(errors="replace"))
    lines = [line for line in re.split(r"[\r\n]+", text) if re.search(r"[A-Za-z]{3}", line)]
    return lines[-1] if lines else ""
