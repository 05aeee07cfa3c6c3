"""`finery retrain` is on record from its first moment, before Prefect is there."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from finery.retraining.record import history, settle

ROOT = Path(__file__).resolve().parents[2]


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


def started(root: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """`finery retrain`, just put on record."""
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-C", str(root)]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Diamond"], check=True)
    without = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.retrain_command"],
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
