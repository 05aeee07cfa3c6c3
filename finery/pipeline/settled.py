"""A run that has nothing to do needs no flow, and no page that nobody is looking at."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from finery.pipeline.errors import ProjectError
from finery.pipeline.one_run import only_run
from finery.pipeline.runs import Outcome
from finery.pipeline.status import needed, status

PAGE = ("127.0.0.1", 4200)
"""Where `finery watch` serves the page on which every run shows."""
URL = "PREFECT_API_URL"


def settled(names: Sequence[str], root: Path = Path()) -> list[Outcome]:
    """What a run of the stages named, or of all, comes to if each is up to date; else nothing.

    Nothing, too, if there is a Prefect server for runs to show on, or the project cannot be read:
    the run will say so. Raises `BusyError` if another one is under way.
    """
    if _watched():
        return []
    with only_run(root):
        try:
            plan = needed(status(root), names)
        except ProjectError:
            return []
    if any(stage.state != "unchanged" for stage in plan):
        return []
    return [Outcome(stage.name, "cached") for stage in plan]


def _watched() -> bool:
    """Whether a Prefect server is named, by the environment or a profile, or is at its usual place.

    Prefect itself would have to be loaded to ask it.
    """
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    if os.environ.get(URL) or (profiles.is_file() and URL in profiles.read_text(encoding="utf-8")):
        return True
    with socket.socket() as asking:
        asking.settimeout(0.2)
        return asking.connect_ex(PAGE) == 0
