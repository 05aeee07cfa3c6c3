"""The NVIDIA cards here, as nvidia-smi tells it."""

import os
import re
import subprocess
from dataclasses import dataclass

QUERY = "--query-gpu=name,memory.total,memory.used,driver_version"
SECONDS = 10


@dataclass(frozen=True)
class Card:
    name: str
    total: float
    """Memory, in bytes."""
    used: float


@dataclass(frozen=True)
class Cards:
    """What nvidia-smi lists; `trouble` if it answers and cannot."""

    cards: list[Card]
    driver: str = ""
    cuda: str = ""
    """The newest CUDA the driver knows, such as 13.0."""
    trouble: str = ""


def cards() -> Cards | None:
    """The cards of this machine; None if there is no NVIDIA driver, or all cards are hidden."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return None
    try:
        listing = _smi(QUERY, "--format=csv,noheader,nounits")
    except FileNotFoundError:
        return None
    except (OSError, subprocess.SubprocessError) as error:
        return Cards([], trouble=f"nvidia-smi fails ({_first_line(error)})")
    rows = [[field.strip() for field in line.split(",")] for line in listing.splitlines() if line]
    rows = [row for row in rows if len(row) == 4]
    if not rows:
        return Cards([], trouble="nvidia-smi lists no card")
    found = [Card(name, _mib(total), _mib(used)) for name, total, used, _ in rows]
    return Cards(found, driver=rows[0][3], cuda=_cuda())


def _smi(*arguments: str) -> str:
    command = ["nvidia-smi", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        said = (done.stdout + done.stderr).strip() or f"exit status {done.returncode}"
        raise subprocess.SubprocessError(said)
    return done.stdout


def _cuda() -> str:
    """From the head of the table: no query asks for it."""
    try:
        found = re.search(r"CUDA[\w ]* Version\s*:\s*([\d.]+)", _smi())
    except (OSError, subprocess.SubprocessError):
        return ""
    return found[1] if found else ""


def _mib(field: str) -> float:
    """Bytes; a card that shares the machine's memory says [N/A]: 0, unknown."""
    return float(field) * 2**20 if re.fullmatch(r"[\d.]+", field) else 0.0


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
