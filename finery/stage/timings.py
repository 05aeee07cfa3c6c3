"""How long each stage took, in a file of its own that no stage depends on."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TIMINGS = Path(".finery/timings.jsonl")


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Append the seconds and peak memory (MB) of the enclosed work, if it succeeds."""
    start = time.monotonic()
    yield
    seconds = round(time.monotonic() - start, 2)
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)  # the quantizer is a child
    peak = round(max(resource.getrusage(who).ru_maxrss for who in whose) / 1024)
    TIMINGS.parent.mkdir(exist_ok=True)
    with TIMINGS.open("a") as file:
        record = {"stage": stage, "ended": int(time.time()), "seconds": seconds, "peak_mb": peak}
        file.write(json.dumps(record) + "\n")


def latest() -> dict[str, dict]:
    """The last record of each stage; a line that a kill or a full disk cut counts for nothing."""
    records = {}
    for line in TIMINGS.read_text().splitlines() if TIMINGS.exists() else []:
        with suppress(ValueError):
            record = json.loads(line)
            records[record["stage"]] = record
    return records
