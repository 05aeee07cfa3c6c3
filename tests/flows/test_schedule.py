"""Retraining by itself: the deployment that `finery schedule` serves, and what ends with it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.events import emit_event

from finery.errors import UserError
from flows.heartbeat import SILENT
from flows.schedule import NEW_DATA, when

pytestmark = pytest.mark.usefixtures("prefect_page")
PATIENCE = 120
ROOT = Path(__file__).resolve().parents[2]
SCHEDULE = (sys.executable, "-m", "flows.schedule")
SHANGHAI = "Asia/Shanghai"
SLEEP = """\
import time
from pathlib import Path
from finery.stage.under_dvc import end_with_dvc

end_with_dvc([Path("first")])
time.sleep(600)
"""


@pytest.fixture
def scheduled(
    diamond: Callable[..., Path], prefect_page: str
) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """A project whose first stage takes minutes, and `finery schedule` at work in it."""
    root = diamond(first=f"{sys.executable} sleep.py")
    (root / "sleep.py").write_text(SLEEP)
    shutil.copytree(ROOT / "data/raw", root / "data/raw")
    author = {"GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@example.org"}
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "config", "user.name", "T"], cwd=root, check=True)
    subprocess.run(["git", "config", "user.email", "t@example.org"], cwd=root, check=True)
    subprocess.run([*git, "add", "."], cwd=root, check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Diamond"], cwd=root, check=True)
    with (root / "schedule.log").open("wb") as log:
        process = subprocess.Popen(
            [*SCHEDULE, "--cron", "0 3 * * *"],
            cwd=root,
            env=os.environ | author | {"PREFECT_API_URL": f"{prefect_page}/api", "TZ": SHANGHAI},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield root, process
    finally:
        process.kill()
        process.wait()


def until(look: Callable[[], Any]) -> Any:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.5)
    return found


def ask(path: str) -> Any:
    with get_client(sync_client=True) as client:
        return client.request("POST", path, json={}).json()


def test_new_data_starts_one_run_at_a_time_that_ends_with_the_schedule(
    scheduled: tuple[Path, "subprocess.Popen[bytes]"],
) -> None:
    root, process = scheduled
    (deployment,) = until(lambda: ask("/deployments/filter"))
    (nightly,) = [each["schedule"] for each in deployment["schedules"]]
    assert (nightly["cron"], nightly["timezone"]) == ("0 3 * * *", SHANGHAI)
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"

    wanted = {"On new data", SILENT}  # the second marks as crashed what was killed
    until(lambda: wanted <= {each["name"] for each in ask("/automations/filter")})
    for _ in range(2):
        emit_event(NEW_DATA, resource={"prefect.resource.id": "finery.data"})
    stage = until(lambda: sleeping(root))
    mine = [each for each in ask("/flow_runs/filter") if each["deployment_id"] == deployment["id"]]
    assert [each["state_type"] for each in mine].count("RUNNING") == 1

    process.send_signal(signal.SIGKILL)
    until(lambda: not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize(
    ("arguments", "where", "said"),
    [
        (["--cron", "0 0 31 2 *"], ROOT, "--cron: '0 0 31 2 *' never comes; give minute, hour,"),
        (["--timezone", "Mars/Base"], ROOT, "--timezone: Mars/Base: no such time zone"),
        ([], Path("/"), "/: not a git repository"),
    ],
)
def test_what_cannot_be_scheduled_is_said_before_anything_starts(
    arguments: list[str], where: Path, said: str
) -> None:
    around = os.environ | {"PYTHONPATH": str(ROOT), "TZ": SHANGHAI}
    done = subprocess.run(
        [*SCHEDULE, *arguments], cwd=where, env=around, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith(said), done.stderr


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("nonsense", "is not five fields (no seconds, no nicknames)"),
        ("@daily", "is not five fields (no seconds, no nicknames)"),
        ("0 3 * *", "is not five fields (no seconds, no nicknames)"),
        ("0 0 3 * * *", "is not five fields (no seconds, no nicknames)"),
        ("61 3 * * *", "is no schedule"),
        ("H 3 * * *", "is no schedule"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
    ],
)
def test_a_schedule_that_is_none(cron: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        when(cron, "UTC")
    assert str(error.value).startswith(f"--cron: {cron!r} {said}")
    assert str(error.value).endswith('give minute, hour, day, month and weekday, as in "0 3 * * *"')


@pytest.mark.parametrize("cron", ["0 0 29 2 *", "*/5 * * * mon-fri", "0 0 L * *", " 0\t3 * * *"])
def test_a_schedule_that_comes_now_and_then(cron: str) -> None:
    assert when(cron, "UTC").cron == cron


def sleeping(root: Path) -> psutil.Process | None:
    """The stage under way, in the checkout that retraining works in."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        found = process.info
        if found["cwd"] == str(root / ".finery/retrain") and "sleep.py" in (found["cmdline"] or []):
            return process
    return None
