"""A stage ends with the DVC that started it, whatever shell is in between."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = f"""
import multiprocessing, os, sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from finery.errors import PipelineError
from finery.stage.under_dvc import end_with_dvc

Path("pids").write_text(f"{{os.getpid()}} {{os.getppid()}}")
time.sleep(float(os.environ["LATE"]))
try:
    end_with_dvc([Path("out")])
except PipelineError as error:
    Path("refused").write_text(str(error))
    sys.exit(1)
worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=[60])
worker.start()
Path("child").write_text(str(worker.pid))
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """Starts `dvc repro` of a stage that lasts a minute."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "program.py").write_text(PROGRAM)

    def dvc(shell: str, command: str = "python program.py", late: str = "0") -> subprocess.Popen:
        (tmp_path / "dvc.yaml").write_text(f"stages: {{only: {{cmd: {command}, outs: [out]}}}}")
        names = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
        environment = dict.fromkeys(names, str(tmp_path / "dvc")) | {"SHELL": shell, "LATE": late}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", "--quiet"],
            cwd=tmp_path,
            env=os.environ | environment | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
            start_new_session=True,
        )

    return dvc


def wait_for(happened: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh", "busybox"])
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_killed_dvc_takes_its_stage_along(
    start: Callable[..., subprocess.Popen], tmp_path: Path, shell: str, sent: signal.Signals
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    dvc = start(shutil.which(shell))
    wait_for((tmp_path / "child").exists)
    stage, parent = map(int, (tmp_path / "pids").read_text().split())
    wait_for((tmp_path / "child").read_text)
    dvc.send_signal(sent)
    dvc.wait(timeout=30)
    for pid in (stage, parent, int((tmp_path / "child").read_text())):
        wait_for(lambda pid=pid: is_gone(pid), 5)


def test_also_where_a_shell_stays_in_between(
    start: Callable[..., subprocess.Popen], tmp_path: Path
) -> None:
    dvc = start("/bin/sh", "python program.py; true")
    wait_for((tmp_path / "child").exists)
    stage, parent = map(int, (tmp_path / "pids").read_text().split())
    assert parent != dvc.pid
    dvc.kill()
    dvc.wait(timeout=30)
    wait_for(lambda: is_gone(stage), 5)


def test_a_stage_refuses_to_begin_if_its_dvc_is_gone(
    start: Callable[..., subprocess.Popen], tmp_path: Path
) -> None:
    dvc = start("/bin/sh", late="2")
    wait_for((tmp_path / "pids").exists)
    dvc.kill()
    dvc.wait(timeout=30)
    wait_for((tmp_path / "refused").exists, 10)
    wait_for((tmp_path / "refused").read_text)
    assert (tmp_path / "refused").read_text().endswith("has ended; run it again")
    assert not (tmp_path / "child").exists()
