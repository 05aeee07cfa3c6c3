"""A run that was killed does not stay running on the page."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

PATIENCE = 400
SLEEP = """\
import time
from finery.stage.under_dvc import end_with_dvc

end_with_dvc([])
time.sleep(600)
"""


@pytest.mark.slow
def test_a_killed_run_is_marked_as_crashed(diamond: Callable[..., Path], prefect_page: str) -> None:
    root = diamond(first=f"{sys.executable} sleep.py")
    (root / "sleep.py").write_text(SLEEP)
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.pipeline"],
        cwd=root,
        env=os.environ | {"PREFECT_API_URL": f"{prefect_page}/api"},
    )
    wait_for("RUNNING")
    time.sleep(40)  # a heartbeat comes every 30 seconds
    process.kill()
    process.wait()
    wait_for("CRASHED")


def wait_for(state: str) -> None:
    """Until the newest run is in a state."""
    order = {"sort": "START_TIME_DESC", "limit": 1}
    deadline = time.monotonic() + PATIENCE
    with get_client(sync_client=True) as client:
        while True:
            found = client.request("POST", "/flow_runs/filter", json=order).json()
            if [run["state_type"] for run in found] == [state]:
                return
            assert time.monotonic() < deadline, f"{found} is not {state}"
            time.sleep(1)
