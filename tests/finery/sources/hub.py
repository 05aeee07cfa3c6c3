"""A small HTTP server that speaks as much of the Hugging Face Hub and of ModelScope as we ask."""

import hashlib
import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

REPO = "acme/tiny"
FIRST = "1" * 40
SECOND = "2" * 40


@dataclass
class Hub:
    """One repository, the faults to serve it with, and a record of what was asked for."""

    files: dict[str, bytes]
    commit: str = FIRST
    kind: str = "models"
    """Or datasets."""
    status: int | None = None
    """Answer every request with this status and `error_code`."""
    error_code: str = ""
    cut_once: str | None = None
    """Break off the first transfer of this file half-way."""
    damaged: str | None = None
    """Serve this file with its last byte changed."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Range header of each request."""

    def __enter__(self) -> "Hub":
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def asked(self, method: str, ending: str) -> list[str | None]:
        """The Range headers of the requests for a path with this ending."""
        return [r for m, path, r in self.requests if m == method and path.endswith(ending)]

    def tree(self) -> list[dict]:
        return [_entry(path, content) for path, content in sorted(self.files.items())]

    def listing(self) -> list[dict]:
        return [
            {"Path": path, "Type": "blob", "Size": len(content), "Sha256": _sha256(content)}
            for path, content in sorted(self.files.items())
        ]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        hub, url = self.hub, urlsplit(self.path)
        path, query = unquote(url.path), parse_qs(url.query)
        hub.requests.append((self.command, path, self.headers.get("Range")))
        api, scope = f"/api/{hub.kind}/{REPO}", f"/api/v1/{hub.kind}/{REPO}/repo"
        resolve = f"/{REPO}/resolve/" if hub.kind == "models" else f"/{hub.kind}/{REPO}/resolve/"
        if hub.status:
            self._send(hub.status, b"{}", {"X-Error-Code": hub.error_code})
        elif path in (f"{api}/revision/main", api):
            self._json({"id": REPO, "sha": hub.commit, "siblings": []})
        elif path == f"{api}/tree/{hub.commit}":
            self._json(hub.tree())
        elif path.startswith(resolve):
            self._file(path.removeprefix(resolve).partition("/")[2], body)
        elif path in (f"{scope}/files", f"{scope}/tree"):
            self._json({"Code": 200, "Success": True, "Data": {"Files": hub.listing()}})
        elif path == scope:
            self._file(query["FilePath"][0], body)
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _file(self, name: str, body: bool) -> None:
        content = self.hub.files[name]
        headers = {
            "ETag": f'"{_entry(name, content)["oid"]}"',
            "X-Repo-Commit": self.hub.commit,
            "Accept-Ranges": "bytes",
        }
        if name.endswith(".safetensors"):
            headers["X-Linked-Etag"] = f'"{_sha256(content)}"'
            headers["X-Linked-Size"] = str(len(content))
        if name == self.hub.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start, status = 0, 200
        if ranged := self.headers.get("Range"):
            start, status = int(ranged.removeprefix("bytes=").split("-")[0]), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if body and name == self.hub.cut_once:
            self.hub.cut_once = None
            self._send(status, content, headers, send=len(content) // 2)
            self.close_connection = True
            return
        self._send(status, content[start:], headers, send=None if body else 0)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], send: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:send])


def _entry(path: str, content: bytes) -> dict:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry = {"type": "file", "path": path, "size": len(content), "oid": git}
    if path.endswith(".safetensors"):
        entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 130}
    return entry


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
