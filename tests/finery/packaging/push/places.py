"""A server on loopback that speaks as much of two hubs and of a registry as a push asks of them."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

TOKEN = "secret-4711"


@dataclass
class Place:
    """What was uploaded: blobs by SHA-256, `files` by path as the last commit or manifest says."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    manifest: dict = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)
    """SHA-256 of each blob in the order they came."""
    break_after: int | None = None
    """Answer uploads with 500 once so many have come."""
    refuse: bool = False
    """Answer everything with 401."""
    private: list[bool] = field(default_factory=list)

    def __enter__(self) -> "Place":
        handler = type("Handler", (_Handler,), {"place": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def empty(self) -> None:
        """As it was: a client may remember where its hub is, so that all tests share one."""
        for kept in (self.blobs, self.files, self.manifest, self.uploads, self.private):
            kept.clear()
        self.break_after, self.refuse = None, False

    def keep(self, content: bytes) -> bool:
        if self.break_after is not None and len(self.uploads) >= self.break_after:
            return False
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        self.uploads.append(digest)
        return True


class _Handler(BaseHTTPRequestHandler):
    place: Place
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: object = None, **headers: str) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _all(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if self.place.refuse:
            asked = f'Bearer realm="{self.place.url}/token",service="x",scope="push"'
            return self._answer(401, {"error": "no"}, WWW_Authenticate=asked)
        if path.startswith("/v2/"):
            return self._registry(path, query, body)
        if path.startswith("/blobs/"):
            kept = self.place.keep(body)
            return self._answer(200 if kept else 500, {"Code": 200, "Success": True})
        if path.endswith("/info/lfs/objects/batch"):
            return self._batch(json.loads(body), path.startswith("/api/v1/"))
        return self._modelscope(path, body) if path.startswith("/api/v1/") else self._hf(path, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _all

    def _batch(self, asked: dict, wrapped: bool) -> None:
        """git-lfs' own: what is there already needs no action."""
        objects = []
        for each in asked["objects"]:
            known = each["oid"] in self.place.blobs
            action = {"upload": {"href": f"{self.place.url}/blobs/{each['oid']}"}}
            objects.append(each | ({} if known else {"actions": action}))
        said = {"transfer": "basic", "objects": objects}
        data = {"objects": [o | {"actions": o.get("actions", {})} for o in objects]}
        self._answer(200, {"Code": 200, "Success": True, "Data": data} if wrapped else said)

    def _hf(self, path: str, body: bytes) -> None:
        if path == "/api/repos/create":
            self.place.private.append(json.loads(body).get("visibility") == "private")
            return self._answer(200, {"url": f"{self.place.url}/acme/boat", "name": "acme/boat"})
        if "/preupload/" in path:
            files = [
                {"path": f["path"], "shouldIgnore": False, "oid": None, "uploadMode": mode}
                for f in json.loads(body)["files"]
                for mode in ["lfs" if f["path"].endswith(".safetensors") else "regular"]
            ]
            return self._answer(200, {"files": files})
        if "/commit/" in path:
            for line in body.splitlines():
                value = json.loads(line)["value"]
                if "oid" in value:
                    self.place.files[value["path"]] = self.place.blobs[value["oid"]]
                elif "content" in value:
                    self.place.files[value["path"]] = base64.b64decode(value["content"])
            url = f"{self.place.url}/acme/boat/commit/{'1' * 40}"
            return self._answer(200, {"commitUrl": url, "commitOid": "1" * 40, "success": True})
        self._answer(200, {"id": "acme/boat", "errors": [], "warnings": [], "siblings": []})

    def _modelscope(self, path: str, body: bytes) -> None:
        if "/commit/" in path:
            for action in json.loads(body)["actions"]:
                content = action.get("content", "")
                if action.get("type") == "lfs":
                    self.place.files[action["path"]] = self.place.blobs[action["sha256"]]
                else:
                    self.place.files[action["path"]] = base64.b64decode(content)
        elif path == "/api/v1/models" and not self.place.private:
            self.place.private.append(json.loads(body).get("Visibility") == 1)
        self._answer(200, {"Code": 200, "Success": True, "Data": {"Name": "boat"}})

    def _registry(self, path: str, query: dict, body: bytes) -> None:
        """The distribution spec: blobs by POST and PUT, or PATCH between them, and a manifest."""
        if self.command == "POST":
            self.server.pending = b""
            return self._answer(202, Location=f"{path}one")
        if self.command == "PATCH":
            self.server.pending += body
            return self._answer(202, Location=path, Range=f"0-{len(self.server.pending) - 1}")
        if "/manifests/" in path and self.command == "PUT":
            self.place.manifest = json.loads(body)
            for layer in self.place.manifest["layers"]:
                title = layer["annotations"]["org.opencontainers.image.title"]
                self.place.files[title] = self.place.blobs[layer["digest"][7:]]
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            return self._answer(201, Docker_Content_Digest=digest)
        if self.command == "PUT":
            content = getattr(self.server, "pending", b"") + body
            self.server.pending = b""
            if hashlib.sha256(content).hexdigest() != query["digest"][0][7:]:
                return self._answer(400)
            return self._answer(201 if self.place.keep(content) else 500)
        found = re.fullmatch(r"/v2/.+/blobs/sha256:(\w+)", path)
        self._answer(200 if found and found[1] in self.place.blobs else 404)
