"""`finery retrain` is on record from its first moment, before Prefect is there."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from finery.retraining.record import history, settle

ROOT = Path(__file__).resolve().parents[2]
RETRAIN = (sys.executable, "-m", "flows.retrain_command")


def test_prefect_is_loaded_only_once_the_run_is_on_record() -> None:
    program = "import sys, flows.retrain_command; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_killed_as_soon_as_it_has_begun(diamond: Callable[..., Path]) -> None:
    root = diamond()
    process = started(root)
    process.kill()
    process.wait()
    settle(root)
    (run,) = history(root)
    assert (run.outcome, run.reason) == (
        "interrupted", "killed, or the machine went down; the next run goes on",
    )  # fmt: skip


def test_a_server_that_cannot_be_had_is_the_reason(diamond: Callable[..., Path]) -> None:
    root = diamond()
    nowhere = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "nowhere://"}
    assert started(root, **nowhere).wait(timeout=120) == 1
    (run,) = history(root)
    assert run.outcome == "failed" and run.reason.startswith("the Prefect server did not start")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--branch", "lost"], "git: no branch lost with a commit; commit the project first"),
        (["--onto", "no..name"], "git: 'no..name' cannot be the name of a branch"),
        (["--stage", "in use"], "stage in use: use lower-case letters, digits and `-`, such as"),
    ],
)
def test_wrong_options_are_said_before_a_run_begins(
    diamond: Callable[..., Path], arguments: list[str], said: str
) -> None:
    root = diamond()
    commit(root)
    done = subprocess.run(
        [*RETRAIN, *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith(said), done.stderr
    assert history(root) == []


def commit(root: Path) -> None:
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-C", str(root)]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Diamond"], check=True)


def started(root: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """`finery retrain`, just put on record."""
    commit(root)
    without = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    process = subprocess.Popen(
        RETRAIN,
        cwd=root,
        env=without | environment | {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(root / "home")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not history(root):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    return process
