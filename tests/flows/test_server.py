"""A Prefect server that is named and does not answer as one: one line, right away."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from finery.retraining.record import history
from flows.server import ServerError, check_server

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "http://127.0.0.1:9/api"


class Other(BaseHTTPRequestHandler):
    """Answers anything with the status that its path begins with."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status = int(self.path.split("/")[1])
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other() -> Iterator[str]:
    """The URL of a web server that is no Prefect server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def said_of(url: str) -> str:
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(ServerError) as error:
        check_server()
    assert "\n" not in str(error.value) and error.value.exit_status == 2
    return str(error.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/200/api", "what answers is no Prefect server; its URL ends in /api"),
        ("/401/api", "answers 401 Unauthorized; set PREFECT_API_KEY or PREFECT_API_AUTH_STRING"),
        ("/403/api", "answers 403 Forbidden; set PREFECT_API_KEY or PREFECT_API_AUTH_STRING"),
        ("/404", "answers 404 Not Found; is it a Prefect server? its URL ends in /api"),
        ("/503/api", "answers 503 Service Unavailable; see its log; start it"),
    ],
)
def test_what_is_no_prefect_server(other: str, path: str, said: str) -> None:
    assert said_of(other + path).startswith(f"PREFECT_API_URL: {other}{path}: {said}")


@pytest.mark.parametrize("url", [NOWHERE, "127.0.0.1:4200/api", "ftp://127.0.0.1/api"])
def test_where_nothing_answers(url: str) -> None:
    line = said_of(url)
    assert line.startswith(f"PREFECT_API_URL: {url}: no Prefect server answers (")
    assert line.endswith("or unset PREFECT_API_URL: a run brings its own")


def test_a_password_is_not_said() -> None:
    assert "secret" not in said_of("http://me:secret@127.0.0.1:9/api")


def test_a_path_that_is_not_the_apis(prefect_page: str) -> None:
    assert "its URL ends in /api" in said_of(prefect_page)
    with temporary_settings({PREFECT_API_URL: f"{prefect_page}/api"}):
        check_server()


@pytest.mark.parametrize(
    "command",
    [
        ("flows.pipeline", "--set", "train.sft.learning_rate=0.5"),
        ("flows.retrain_command",),
        ("flows.schedule",),
    ],
    ids=lambda command: command[0],
)
def test_nothing_begins_without_the_server_that_is_named(
    diamond: Callable[..., Path], command: tuple[str, ...]
) -> None:
    root = diamond()
    git = ("git", "-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run([*git, "add", "."], cwd=root, check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Diamond"], cwd=root, check=True)
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env=os.environ | {"PREFECT_API_URL": NOWHERE, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"PREFECT_API_URL: {NOWHERE}: no Prefect server answers")
    assert len(done.stderr.splitlines()) == 1
    runs = [(run.outcome, run.reason) for run in history(root)]
    assert runs == ([("failed", done.stderr.strip())] if "retrain" in command[0] else [])
    assert "0.5" not in (root / "params.yaml").read_text().split("train:")[1].split("evaluate:")[0]
