"""DVC's files, remote and locks."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from finery.doctor.dvc import graph, remote
from finery.doctor.dvc_locks import locks
from finery.doctor.finding import Finding
from finery.doctor.git import git

RWLOCK = Path(".dvc/tmp/rwlock")


def only(findings) -> Finding:
    (finding,) = findings
    return finding


def add_remote(url: str, **settings: str) -> None:
    lines = "".join(f"    {key} = {value}\n" for key, value in {"url": url, **settings}.items())
    text = f"[core]\n    remote = storage\n['remote \"storage\"']\n{lines}"
    Path(".dvc/config").write_text(text)


def hold(pid: int, command: str = "dvc repro train") -> None:
    RWLOCK.parent.mkdir(exist_ok=True)
    info = {"pid": pid, "cmd": command}
    RWLOCK.write_text(json.dumps({"write": {"/x/models": info}, "read": {"/x/data": [info]}}))


def test_a_project_that_dvc_reads(project: Path):
    found = only(graph())
    assert (found.level, found.what) == ("ok", "16 stages in dvc.yaml")


@pytest.mark.parametrize(
    "file, text, advice",
    [
        ("dvc.lock", "schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n", "merge conflict"),
        ("dvc.yaml", "stages: [", "dvc status"),
        ("dvc.yaml", "stages: {a: {cmd: x, outs: [y]}, b: {cmd: x, outs: [y]}}", "dvc status"),
    ],
)
def test_a_file_that_cannot_be_read(project: Path, file: str, text: str, advice: str):
    Path(file).write_text(text)
    found = only(graph())
    assert found.level == "problem" and advice in found.advice, found


def test_no_git_repository(project: Path):
    shutil.rmtree(".git")
    assert only(graph()).advice.startswith("git init")
    assert only(git()).advice == "git init"


def test_a_repository_that_git_does_not_read(project: Path):
    """It would be found by the last stage, which names the commit."""
    Path(".git/HEAD").unlink()
    found = only(git())
    assert (found.level, found.advice) == (
        "problem",
        f"`git -C {project} fsck` says what is damaged",
    )
    assert found.what.startswith("not a git repository") and "no packages" in found.what


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user(project: Path):
    os.chown(".", 4321, 4321)
    found = only(git())
    assert (found.level, found.advice) == (
        "problem", f"if you trust it: git config --global --add safe.directory {project}",
    )  # fmt: skip
    assert found.what.startswith(f"detected dubious ownership in repository at '{project}'")


def test_nobody_to_commit_as(project: Path, monkeypatch: pytest.MonkeyPatch):
    assert only(git()).level == "ok"
    subprocess.run(["git", "config", "--unset", "user.email"], check=True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    found = only(git())
    assert (found.level, found.advice) == ("note", 'git config --global user.email "..."')


def test_no_remote(project: Path):
    assert only(remote()).level == "note"


def test_a_remote_that_is_a_folder(project: Path, tmp_path: Path):
    add_remote(str(tmp_path / "storage"))
    assert "no such folder" in only(remote()).what
    (tmp_path / "storage").mkdir()
    assert only(remote()).level == "ok"


def test_a_remote_on_the_network(project: Path, served: Callable[[int], str], silent: str):
    add_remote("s3://bucket/finery", endpointurl=served(403))
    assert only(remote()).level == "ok"
    add_remote("s3://bucket/finery", endpointurl=silent)
    assert "cannot be reached (no answer within" in only(remote()).what
    add_remote("http://127.0.0.1:9/x")
    assert "Connection refused" in only(remote()).what


def test_a_remote_without_its_plugin(project: Path):
    add_remote("hdfs://me@host/x")
    assert only(remote()).advice == "pip install 'dvc[hdfs]'"


def test_a_remote_that_is_only_named(project: Path):
    Path(".dvc/config").write_text("[core]\n    remote = storage\n")
    assert "no such remote" in only(remote()).what


def test_no_lock(project: Path):
    assert only(locks()).level == "ok"


def test_the_lock_of_a_process_that_is_gone(project: Path):
    process = subprocess.Popen(["true"])
    process.wait()
    hold(process.pid)
    found = only(locks())
    assert found.level == "note" and "the next run clears it" in found.advice


def test_the_lock_of_a_process_that_was_not_reaped(project: Path):
    process = subprocess.Popen(["true"])
    deadline = time.monotonic() + 5
    while "Z" not in Path(f"/proc/{process.pid}/stat").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    hold(process.pid)
    assert only(locks()).level == "problem"
    process.wait()


@pytest.mark.parametrize("reused", ["younger than the lock", "no run of dvc"])
def test_the_lock_of_a_number_that_was_reused(project: Path, reused: str):
    """DVC waits for whatever process has the number now: for ever."""
    script = "import time; time.sleep(60)  # finery" if "younger" in reused else "sleep 60"
    command = [sys.executable, "-c", script] if "younger" in reused else ["sleep", "60"]
    process = subprocess.Popen(command)
    hold(process.pid)
    if "younger" in reused:
        os.utime(RWLOCK, (time.time() - 3600,) * 2)
    found = only(locks())
    process.kill()
    process.wait()
    assert found.level == "problem" and found.advice == "run: finery recover"


def test_the_lock_of_a_run(project: Path):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "dvc"])
    time.sleep(0.2)
    hold(process.pid)
    found = only(locks())
    process.kill()
    process.wait()
    assert found.level == "note" and f"(process {process.pid})" in found.what


@pytest.mark.parametrize("text", ["{", "[]", '{"write": {"x": 1}}'])
def test_a_damaged_lock(project: Path, text: str):
    RWLOCK.parent.mkdir(exist_ok=True)
    RWLOCK.write_text(text)
    assert only(locks()).level == "problem"


def test_a_dvc_command_that_is_running(project: Path):
    import zc.lockfile

    RWLOCK.parent.mkdir(exist_ok=True)
    held = zc.lockfile.LockFile(".dvc/tmp/lock")
    found = only(locks())
    held.close()
    assert found.level == "note" and "a dvc command is running" in found.what
    assert only(locks()).level == "ok"
