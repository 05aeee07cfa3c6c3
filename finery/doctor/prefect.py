"""The Prefect server that flows report to, and the database behind it.

Read from its files and variables: importing Prefect takes a second, and fails on a bad profile.
"""

import os
import sqlite3
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finery.doctor.finding import Finding, note, ok
from finery.doctor.libraries import installed
from finery.doctor.network import status, without_password

URL_NAMES = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
SMALL = 200_000_000
"""Bytes of a database that is checked whole; a larger one would take its time."""
STEPS = 20_000_000
AWAY = "end other Prefect servers; else move it away, and lose the history of runs"
WITHOUT = "`dvc repro` runs without Prefect"


def server() -> Iterator[Finding]:
    """PREFECT_API_URL, of the environment or the active profile, if it answers."""
    found = installed("prefect")
    if found is None:
        return  # the libraries' check says so
    try:
        url = _setting("PREFECT_API_URL")
    except (OSError, ValueError) as error:
        advice = f"correct it, or remove it to start over: {_profiles()}"
        yield note("Prefect", f"{found}: its profiles cannot be read ({error})", advice)
        return
    if not url:
        yield ok("Prefect", f"{found}; no server is set, so each run brings its own")
        return
    shown = without_password(url)
    answer = status(f"{url.rstrip('/')}/health", direct="127.0.0.1" in url)
    if isinstance(answer, int) and answer < 500:
        yield ok("Prefect", f"{found}, {shown} answers")
    else:
        why = answer if isinstance(answer, str) else f"status {answer}"
        advice = f"start it (prefect server start), or unset PREFECT_API_URL; {WITHOUT}"
        yield note("Prefect", f"{found}, {shown} cannot be reached ({why})", advice)


def database() -> Iterator[Finding]:
    """The SQLite file of a local server: there or not yet, writable, whole, not locked."""
    if installed("prefect") is None or any(os.environ.get(name) for name in URL_NAMES):
        return
    file = _home() / "prefect.db"
    if not file.exists():
        yield _no_file_yet(file)
    elif not os.access(file, os.W_OK):
        yield note("Prefect database", f"{file} is not writable", f"chown it to you; {WITHOUT}")
    elif trouble := _trouble(file):
        yield note("Prefect database", f"{file}: {trouble}", f"{AWAY}: mv {file} {file}.old")
    else:
        yield ok("Prefect database", f"{file}, {file.stat().st_size / 1e6:.1f} MB")


def _no_file_yet(file: Path) -> Finding:
    folder = file.parent
    while not folder.exists():
        folder = folder.parent
    if os.access(folder, os.W_OK):
        return ok("Prefect database", f"{file}, made by the first run")
    advice = f"set PREFECT_HOME to a folder of yours; {WITHOUT}"
    return note("Prefect database", f"{file} cannot be made: {folder} is not writable", advice)


def _trouble(file: Path) -> str | None:
    """What is wrong with a database; None if nothing is, or if it is too large to tell."""
    connection = sqlite3.connect(f"file:{file}?mode=rw", uri=True, timeout=1)
    left = iter(range(STEPS // 1000))
    connection.set_progress_handler(lambda: next(left, None) is None, 1000)
    try:
        if file.stat().st_size < SMALL:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if answer != "ok":
                return f"damaged ({answer})"
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        return _newer(connection)
    except sqlite3.Error as error:
        return None if "interrupted" in str(error) else str(error)
    finally:
        connection.close()


def _newer(connection: sqlite3.Connection) -> str | None:
    """A database keeps the name of its last migration; this Prefect must know it."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    if ("alembic_version",) not in tables:
        return None  # a server that starts makes its tables
    (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    prefect = Path(find_spec("prefect").origin).parent
    known = prefect.glob(f"server/database/_migrations/versions/sqlite/*_{version}_*.py")
    return None if any(known) else "made by a newer Prefect than the installed one"


def _setting(name: str) -> str | None:
    if value := os.environ.get(name):
        return value
    file = _profiles()
    if not file.is_file():
        return None
    profiles: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    if active is not None and active not in profiles.get("profiles", {}):
        raise ValueError(f"no profile {active} in {file}")
    return profiles.get("profiles", {}).get(active, {}).get(name)


def _profiles() -> Path:
    return Path(os.environ.get("PREFECT_PROFILES_PATH") or _home() / "profiles.toml")


def _home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
