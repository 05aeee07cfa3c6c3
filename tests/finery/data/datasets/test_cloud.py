"""Datasets on a web server and in a bucket, both on loopback."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import s3fs

from finery.data.datasets.remote import refresh
from finery.data.errors import DataError
from finery.data.formats.dataset import open_dataset

from .elsewhere import describe


class Web(BaseHTTPRequestHandler):
    """Serves one file, rows.jsonl."""

    content = b'{"text": "one"}\n'
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.command)
        found = self.path.partition("?")[0] == "/rows.jsonl"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(self.content)) if found else "0")
        self.send_header("ETag", f'"{hash(self.content)}"')
        self.end_headers()
        if found and self.command == "GET":
            self.wfile.write(self.content)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Web], str]]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = type("Handler", (Web,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def texts(folder: Path) -> list[str]:
    return [row.text for row in open_dataset(folder, "d", None)]  # type: ignore[union-attr]


def test_a_file_on_the_web(tmp_path: Path, web: tuple[type[Web], str]) -> None:
    handler, host = web
    url = f"{host}/rows.jsonl?raw=1"
    describe(tmp_path, cloud_file_name=url)
    (change,) = refresh(tmp_path, ["d"])
    assert change.startswith(f"d: {url} (new) -> ")
    assert texts(tmp_path) == ["one"]
    assert open_dataset(tmp_path, "d", None).labels == (url,)
    handler.asked.clear()
    assert texts(tmp_path) == ["one"] and handler.asked == []

    handler.content = b'{"text": "two"}\n'
    assert texts(tmp_path) == ["one"]
    assert len(refresh(tmp_path, ["d"])) == 1 and refresh(tmp_path, ["d"]) == []
    assert texts(tmp_path) == ["two"]


def test_a_file_that_changed_before_it_was_fetched(
    tmp_path: Path, web: tuple[type[Web], str]
) -> None:
    handler, host = web
    describe(tmp_path, cloud_file_name=f"{host}/rows.jsonl")
    refresh(tmp_path, ["d"])
    handler.content = b'{"text": "two"}\n'
    with pytest.raises(DataError, match=r"is not what it was when .*; accept it with `finery data"):
        texts(tmp_path)


@pytest.mark.parametrize(
    "url, problem",
    [
        ("{}/other.jsonl", "no such file; check cloud_file_name"),
        ("http://127.0.0.1:9/rows.jsonl", "cannot be read ("),
        ("ftp://host/rows.jsonl", "cannot be read; use s3://, gs://, gcs://, http://, https://"),
        ("/etc/rows.jsonl", "cannot be read; use s3://, gs://, gcs://, http://, https://"),
    ],
)
def test_what_cannot_be_had(
    tmp_path: Path, web: tuple[type[Web], str], url: str, problem: str
) -> None:
    url = url.format(web[1])
    describe(tmp_path, cloud_file_name=url)
    with pytest.raises(DataError) as caught:
        refresh(tmp_path, ["d"])
    assert str(caught.value).startswith(f"{url}: {problem}") and "\n" not in str(caught.value)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A bucket with a folder of two data files, on a server that speaks S3."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret" * 3,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1",
        "NANIO_ACCESS_KEY": "key", "NANIO_SECRET_KEY": "secret" * 3,
        "XDG_CACHE_HOME": str(tmp_path / "cache"), "NO_PROXY": "127.0.0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    quiet = ("--log-level", "error", "--no-access-log", "--data-dir", str(tmp_path / "s3"))
    where = ("--host", "127.0.0.1", "--port", str(port))
    process = subprocess.Popen([sys.executable, "-m", "nanio", "serve", *where, *quiet])
    try:
        while not listens(port):
            assert process.poll() is None, "the S3 server ended"
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.mkdir("acme")
        for name, text in (("b.jsonl", '{"text": "2"}'), ("a.json", '[{"text": "1"}]'), ("x", "?")):
            files.pipe(f"acme/rows/{name}", text.encode())
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        time.sleep(0.1)
        return False


@pytest.mark.usefixtures("bucket")
def test_a_bucket(tmp_path: Path) -> None:
    describe(tmp_path, cloud_file_name="s3://acme/rows")
    assert len(refresh(tmp_path, ["d"])) == 1
    assert texts(tmp_path) == ["1", "2"]
    labels = open_dataset(tmp_path, "d", None).labels
    assert labels == ("s3://acme/rows#a.json", "s3://acme/rows#b.jsonl")
    describe(tmp_path, cloud_file_name="s3://acme/rows/b.jsonl")
    refresh(tmp_path, ["d"])
    assert texts(tmp_path) == ["2"]
    describe(tmp_path, cloud_file_name="s3://acme/none")
    with pytest.raises(DataError, match=r"^s3://acme/none: no such file; check cloud_file_name$"):
        refresh(tmp_path, ["d"])
