"""Who may ask, and how much at once: before anything else looks at a request."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from finery.serving.door.meters import Meters
from finery.serving.refusals import Refused

OPEN = ("/health",)
"""What needs no key."""
INSIDE = 256
"""Requests at once, those that are refused included."""
SECONDS = 60
"""For a request's body to come."""


@dataclass(frozen=True)
class Rules:
    """`keys`: one of them is needed, if there are any; `origins`: the web pages that may ask, by
    scheme and host, or `*`; `most_bytes`: of a body.
    """

    keys: Collection[str] = ()
    origins: Collection[str] = ()
    most_bytes: int = 8 * 2**20


class Guard:
    """Lets in what the rules allow, its body read, and counts what becomes of it."""

    def __init__(self, app: ASGIApp, rules: Rules, meters: Meters, paths: Collection[str]) -> None:
        self._app, self._rules, self._meters, self._paths = app, rules, meters, paths
        self._keys = [key.encode() for key in rules.keys]
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path = scope["path"] if scope["path"] in self._paths else "other"
        begun, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        self._inside += 1
        try:
            await self._guarded(scope, receive, watched)
        except Refused as refused:
            await refusal(refused)(scope, receive, watched)
        finally:
            self._inside -= 1
            if status:
                self._meters.requests.labels(path, status).inc()
                self._meters.seconds.labels(path).observe(time.perf_counter() - begun)
            else:
                self._meters.left.inc()

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._check_origin(headers)
        if scope["path"] not in OPEN:
            self._check_key(headers)
            if self._inside > INSIDE:
                raise Refused("too many requests at once", 429, headers={"Retry-After": "1"})
        body = await self._body(headers, receive)
        given = False

        async def read() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, read, send)

    def _check_origin(self, headers: Headers) -> None:
        origin, allowed = headers.get("origin"), self._rules.origins
        if origin is not None and "*" not in allowed and origin not in allowed:
            raise Refused(
                "this server is not for web pages; allow one with --cors-origin",
                403,
                code="origin_not_allowed",
            )

    def _check_key(self, headers: Headers) -> None:
        if not self._keys:
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        said = given.strip().encode("latin-1") if kind.lower() == "bearer" else b""
        matches = [compare_digest(said, key) for key in self._keys]
        if not any(matches):
            raise Refused(
                "no valid API key; send one as Authorization: Bearer KEY",
                401,
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        most = self._rules.most_bytes
        stated = headers.get("content-length", "")
        if stated.isdigit() and int(stated) > most:
            raise _too_large(most)
        body = bytearray()
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise _too_large(most)
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise Refused("the body did not come in time", 408) from None


def refusal(refused: Refused) -> JSONResponse:
    return JSONResponse(refused.body(), refused.status, refused.headers)


def _too_large(most: int) -> Refused:
    headers: dict[str, Any] = {"Connection": "close"}
    return Refused(
        f"the body has more than {most} bytes", 413, code="request_too_large", headers=headers
    )
