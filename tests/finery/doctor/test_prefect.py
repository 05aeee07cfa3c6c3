"""The Prefect server and its database."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from finery.doctor.finding import Finding
from finery.doctor.prefect import database, server


def only(findings) -> Finding:
    (finding,) = findings
    return finding


@pytest.fixture
def home(project: Path) -> Path:
    return Path(os.environ["PREFECT_HOME"])


def test_each_run_brings_its_own_server(home: Path):
    found = only(server())
    assert found.level == "ok" and "each run brings its own" in found.what


def test_a_server_that_is_set(
    home: Path, served: Callable[[int], str], silent: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PREFECT_API_URL", f"{served(200)}/api")
    assert only(server()).level == "ok"
    monkeypatch.setenv("PREFECT_API_URL", f"{silent}/api")
    found = only(server())
    assert found.level == "note" and "cannot be reached" in found.what
    assert "`dvc repro` runs without Prefect" in found.advice


def test_the_server_of_the_active_profile(home: Path, monkeypatch: pytest.MonkeyPatch):
    url = "http://127.0.0.1:9/api"
    profiles = f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{url}"\n[profiles.other]\n'
    (home / "profiles.toml").write_text(profiles)
    assert url in only(server()).what
    monkeypatch.setenv("PREFECT_PROFILE", "other")
    assert only(server()).level == "ok"
    monkeypatch.setenv("PREFECT_PROFILE", "gone")
    assert "no profile gone" in only(server()).what


def test_profiles_that_cannot_be_read(home: Path):
    (home / "profiles.toml").write_text("active = [")
    found = only(server())
    assert found.level == "note" and str(home / "profiles.toml") in found.advice


def a_database(home: Path, version: str = "9725c1cbee35") -> sqlite3.Connection:
    connection = sqlite3.connect(home / "prefect.db", isolation_level=None)
    connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    connection.execute("INSERT INTO alembic_version VALUES (?)", (version,))
    connection.execute("CREATE TABLE run (text TEXT)")
    connection.executemany("INSERT INTO run VALUES (?)", [("x" * 500,)] * 200)
    return connection


def test_a_database_that_is_not_there_yet(home: Path):
    found = only(database())
    assert found.level == "ok" and "made by the first run" in found.what
    (home / "prefect.db").touch()
    assert only(database()).level == "ok"


def test_a_good_database(home: Path):
    a_database(home).close()
    assert only(database()).level == "ok"


def test_a_database_that_is_none(home: Path):
    (home / "prefect.db").write_bytes(b"not a database" * 100)
    found = only(database())
    assert found.level == "note" and "file is not a database" in found.what
    assert f"mv {home}/prefect.db" in found.advice


def test_a_damaged_database(home: Path):
    a_database(home).close()
    content = bytearray((home / "prefect.db").read_bytes())
    content[8192:40960] = b"\xff" * (40960 - 8192)
    (home / "prefect.db").write_bytes(content)
    found = only(database())
    assert found.level == "note", found


def test_a_locked_database(home: Path):
    connection = a_database(home)
    connection.execute("BEGIN IMMEDIATE")
    assert "database is locked" in only(database()).what
    connection.close()


def test_the_database_of_a_newer_prefect(home: Path):
    a_database(home, version="ffffffffffff").close()
    assert "made by a newer Prefect" in only(database()).what
