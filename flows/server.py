"""The Prefect server that a flow reports to: the one configured, or one for as long as it runs."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finery.errors import PipelineError
from finery.stage.leash import leashed
from flows import LOOPBACK
from flows.command_line import command_line
from flows.heartbeat import crash_silent_runs

PORT = 4200
PATIENCE = 120.0
LOG = Path(".finery/prefect-server.log")


@contextmanager
def server(port: int | None = None) -> Iterator[str]:
    """The URL of a Prefect page, with PREFECT_API_URL set to its API for the enclosed work.

    It is the server that PREFECT_API_URL or the Prefect profile names, else one that answers on
    this machine's port 4200, else one started here on `port`, or on any that is free: others rely
    on what they find on 4200. It ends with the work or with this process, however that dies.
    Raises `PipelineError` if it does not come up.
    """
    if configured := _configured():
        crash_silent_runs()
        yield _page(configured)
        return
    running = f"http://{LOOPBACK}:{PORT}/api"
    if answers(running):
        with _api_url(running):
            yield _page(running)
        return
    port = port or _any_free_port()
    process = _start(port)
    try:
        url = f"http://{LOOPBACK}:{port}/api"
        _wait_until_up(process, url)
        with _api_url(url):
            yield _page(url)
    finally:
        process.terminate()
        process.wait(timeout=30)


def watch() -> None:
    """Serve the Prefect page, on which every run shows, until interrupted."""
    os.environ.setdefault("PREFECT_SERVER_API_PORT", str(PORT))
    os.execv(sys.executable, [sys.executable, "-m", "prefect", "server", "start"])


def answers(api: str) -> bool:
    """Whether a Prefect server is healthy at an API URL."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{api}/health", timeout=2) as response:
            return response.read() == b"true"
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _configured() -> str | None:
    from prefect.settings import PREFECT_API_URL

    return PREFECT_API_URL.value()


def _page(api: str) -> str:
    return api.removesuffix("/api")


@contextmanager
def _api_url(url: str) -> Iterator[None]:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}):
        crash_silent_runs()
        try:
            yield
        finally:
            _send_all()


def _send_all() -> None:
    """Logs and events go out by threads of their own: wait for them while there is a server."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=10)


def _start(port: int) -> subprocess.Popen[bytes]:
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("wb") as log:
        return subprocess.Popen(
            leashed([sys.executable, "-m", "prefect", "server", "start"]),
            env=os.environ
            | {"PREFECT_SERVER_API_PORT": str(port), "PREFECT_SERVER_API_HOST": LOOPBACK},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_up(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise PipelineError(
                f"the Prefect server did not start; see {LOG}, or `dvc repro` runs without it"
            )
        time.sleep(0.2)


def _any_free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    command_line(watch, "watch")
