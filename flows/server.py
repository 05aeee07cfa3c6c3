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
from http import HTTPStatus
from pathlib import Path

from finery.doctor.network import without_password
from finery.errors import PipelineError, UserError
from finery.stage.leash import leashed
from flows import LOOPBACK
from flows.command_line import command_line
from flows.heartbeat import crash_silent_runs

PORT = 4200
PATIENCE = 120.0
SECONDS = 5.0
"""For a server to answer that is there."""
LOG = Path(".finery/prefect-server.log")


class ServerError(UserError):
    """The Prefect server that PREFECT_API_URL or the profile names is not there, or not for us."""


@contextmanager
def server(port: int | None = None) -> Iterator[str]:
    """The URL of a Prefect page, with PREFECT_API_URL set to its API for the enclosed work.

    It is the server that PREFECT_API_URL or the Prefect profile names, else one that answers on
    this machine's port 4200, else one started here on `port`, or on any that is free: others rely
    on what they find on 4200. It ends with the work or with this process, however that dies.
    Raises `ServerError` if one that is named does not answer, `PipelineError` if it does not come
    up, or stops answering.
    """
    if configured := _configured():
        check_server()
        with _one_line(configured):
            crash_silent_runs()
            yield _page(configured)
        return
    running = f"http://{LOOPBACK}:{PORT}/api"
    if answers(running):
        with _api_url(running), _one_line(running):
            yield _page(running)
        return
    port = port or _any_free_port()
    process = _start(port)
    try:
        url = f"http://{LOOPBACK}:{port}/api"
        _wait_until_up(process, url)
        with _api_url(url), _one_line(url):
            yield _page(url)
    finally:
        process.terminate()
        process.wait(timeout=30)


def check_server() -> None:
    """Raises `ServerError` if a Prefect server is named that does not answer as one, right away."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    if not (url := _configured()):
        return
    try:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(sync_client=True, httpx_settings={"timeout": SECONDS}) as client,
        ):
            answer = client.request("POST", "/flows/count", json={}).json()
        if not isinstance(answer, int):
            raise ValueError
    except Exception as error:  # of sockets, TLS, HTTP, JSON and of Prefect's own settings
        raise ServerError(f"PREFECT_API_URL: {without_password(url)}: {_wrong(error)}") from None


def _wrong(error: Exception) -> str:
    """What is wrong with a server, and what to do."""
    without = "start it (prefect server start), or unset PREFECT_API_URL: a run brings its own"
    if isinstance(error, ValueError):
        return "what answers is no Prefect server; its URL ends in /api"
    answer = getattr(error, "response", None)
    if answer is None:
        return f"no Prefect server answers ({str(error) or type(error).__name__}); {without}"
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        advice = "set PREFECT_API_KEY or PREFECT_API_AUTH_STRING to what it wants"
    elif answer.is_server_error:
        advice = f"see its log; {without}"
    else:
        advice = "is it a Prefect server? its URL ends in /api"
    return f"answers {answer.status_code} {answer.reason_phrase}; {advice}"


@contextmanager
def _one_line(url: str) -> Iterator[None]:
    """Prefect gives up on a server in many lines."""
    from httpx import HTTPError

    try:
        yield
    except HTTPError as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(f"Prefect's server at {without_password(url)}: {said}") from error


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
