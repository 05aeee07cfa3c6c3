"""The record of every retraining: .finery/retrains.jsonl, also of one that was killed.

A run appends a line when it starts and one when it ends. One that has no second line when the
next run starts was interrupted. Some room is kept on the disk so that a full one is on record.
"""

import errno
import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finery.retraining.errors import AnotherRun
from finery.to_json import to_json

RETRAINS = Path(".finery/retrains.jsonl")
ROOM = Path(".finery/retrains.room")
ROOM_BYTES = 256 * 1024
INTERRUPTED = "interrupted"
_own: dict[Path, "Run"] = {}
"""The runs that this process has begun, by their project."""


@dataclass
class Run:
    """A retraining; times are UTC, `outcome` is None while it is under way.

    `versions` are the releases it made, as in {"merged": "v0.2.0"}.
    """

    started: str
    branch: str | None = None
    base: str | None = None
    changed: list[str] = field(default_factory=list)
    outcome: str | None = None
    reason: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    landed: str | None = None
    commit: str | None = None
    ended: str | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is under way."""
        if self.ended is None:
            return None
        ended, started = map(datetime.fromisoformat, (self.ended, self.started))
        return (ended - started).total_seconds()


@contextmanager
def recorded(root: Path) -> Iterator[Run]:
    """Put a run on record: that it starts, and at the end what the caller wrote into it.

    First come the ends of those that could not say theirs. It is the only one under way here:
    the lock is the kernel's (flock). Raises `AnotherRun`.
    """
    (root / RETRAINS).parent.mkdir(exist_ok=True)
    with (root / RETRAINS).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherRun("another retraining is under way here; wait for it") from None
        _end_interrupted(root)
        _keep_room(root / ROOM)
        run = Run(started=_now())
        _append(root, run)
        _own[root.resolve()] = run
        try:
            yield run
        finally:
            del _own[root.resolve()]
            if run.outcome is not None:
                end(root, run)


def on_record(root: Path) -> AbstractContextManager[Run]:
    """The run that this process has put on record already, or else a new one as of `recorded`."""
    own = _own.get(root.resolve())
    return nullcontext(own) if own else recorded(root)


def settle(root: Path) -> None:
    """Put the end of a run on record that could not do so itself, unless one is under way."""
    if (root / RETRAINS).exists():
        with (root / RETRAINS).open("a") as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _end_interrupted(root)


def end(root: Path, run: Run) -> None:
    """Put what became of a run on record; its `outcome` and `reason` are set."""
    run.reason = " ".join(run.reason.split())
    run.ended = _now()
    _append(root, run)


def history(root: Path) -> list[Run]:
    """All retrainings of the project, oldest first."""
    known, runs = {each.name for each in fields(Run)}, {}
    for line in _lines(root / RETRAINS):
        if isinstance(line, dict) and {"id", "started"} <= line.keys():
            runs[line["id"]] = Run(**{key: value for key, value in line.items() if key in known})
    return list(runs.values())


def _end_interrupted(root: Path) -> None:
    for run in history(root):
        if run.outcome is None:
            run.outcome = INTERRUPTED
            run.reason = "killed, or the machine went down; the next run goes on"
            end(root, run)


def _lines(file: Path) -> Iterator[Any]:
    if not file.exists():
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    for line in text.split("\n"):  # splitlines() would break them at U+2028, inside a name
        try:
            yield json.loads(line)
        except ValueError:  # a kill or a full disk cut it in the middle
            continue


def _append(root: Path, run: Run) -> None:
    """On a full disk, in the room that was kept for it."""
    text = "\n" + to_json(asdict(run))
    try:
        _write(root / RETRAINS, text)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        (root / ROOM).unlink(missing_ok=True)
        _write(root / RETRAINS, text)


def _write(file: Path, text: str) -> None:
    """The new line comes first: whatever was cut before it ends there.

    A file name that is no UTF-8 is written as JSON escapes what it cannot say.
    """
    with file.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _keep_room(file: Path) -> None:
    if file.exists():
        return
    try:
        file.write_bytes(os.urandom(ROOM_BYTES))  # zeros might be stored as a hole
    except OSError:
        file.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
