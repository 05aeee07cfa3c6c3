"""Make docs/run.png: the Prefect page of a run under way, in a real browser.

Run it in a project of which something is to run (`finery status`): it starts `finery run`, opens
the page of that run in Chromium while a stage is under way, takes the picture and lets the run go
on to its end.

    python docs/screenshot.py --out docs/run.png --chromium /usr/bin/chromium
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import TaskRunSort

from flows.server import server

SIZE = {"width": 1440, "height": 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/run.png"))
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser to open")
    parser.add_argument("--stage", default="train", help="take the picture while this one runs")
    arguments = parser.parse_args()
    with server() as page:
        run = subprocess.Popen([sys.executable, "-m", "flows.pipeline"])
        flow_run = wait_for_progress(arguments.stage)
        take(f"{page}/runs/flow-run/{flow_run}", arguments.chromium, arguments.out)
        sys.exit(run.wait())


def wait_for_progress(stage: str) -> str:
    """The newest flow run, once its task for `stage` has been running for some seconds."""
    with get_client(sync_client=True) as client:
        while True:
            for task in client.read_task_runs(sort=TaskRunSort.ID_DESC, limit=200):
                if task.name == stage and task.state and task.state.is_running():
                    time.sleep(20)
                    return str(task.flow_run_id)
            time.sleep(1)


def take(url: str, chromium: str, out: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(url)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(5000)
        page.screenshot(path=str(out))
        browser.close()


if __name__ == "__main__":
    main()
