"""Where pip would find a package: the indexes and folders of its own settings."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from finery.doctor.network import status, without_password

DEFAULT = "https://pypi.org/simple"
SCOPES = (":env:", "download", "global")
SECONDS = 10


def find(package: str, version: str) -> tuple[str | None, list[str]]:
    """The first place that has a package, and why each of those before it does not."""
    troubles = []
    try:
        settings = _settings()
    except (OSError, subprocess.SubprocessError) as error:
        return None, [str(error)]
    for folder in _words(settings, "find-links"):
        path = _local(folder)
        if path is not None and list(path.glob(f"{_wheel_name(package)}-{version}-*.whl")):
            return str(path), troubles
    indexes = [] if "no-index" in settings else _words(settings, "index-url") or [DEFAULT]
    indexes += [] if "no-index" in settings else _words(settings, "extra-index-url")
    # What lies on this machine first: a network that hangs is then not asked.
    for index in sorted(indexes, key=lambda index: _local(index) is None):
        if trouble := _lacks(index.rstrip("/"), package):
            troubles.append(trouble)
        else:
            return without_password(index), troubles
    return None, troubles


def _lacks(index: str, package: str) -> str | None:
    """Why an index does not offer a package; None if it does."""
    name = re.sub(r"[-_.]+", "-", package).lower()
    shown = without_password(index)
    if (folder := _local(index)) is not None:
        return None if (folder / name).is_dir() else f"{shown} lacks it"
    answer = status(f"{index}/{name}/")
    if isinstance(answer, str):
        return f"{shown} cannot be reached ({answer})"
    if answer == 404:
        return f"{shown} lacks it"
    return f"{shown} answers with status {answer}" if answer in (401, 403, 429, 500) else None


def _settings() -> dict[str, str]:
    """pip's own, from its files and the environment, by bare name; raises if pip is missing."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise subprocess.SubprocessError(f"pip does not run ({said}); python -m ensurepip")
    listed = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    settings: dict[str, str] = {}
    for scope in reversed(SCOPES):
        for key, value in listed.items():
            if key.startswith(f"{scope}."):
                settings[key.removeprefix(f"{scope}.")] = ast.literal_eval(value)
    return settings


def _words(settings: dict[str, str], key: str) -> list[str]:
    return settings.get(key, "").split()


def _local(place: str) -> Path | None:
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme in ("http", "https") else Path(place)


def _wheel_name(package: str) -> str:
    return re.sub(r"[-_.]+", "_", package)
