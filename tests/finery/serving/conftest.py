"""A server on loopback, of the model that was taught a few answers."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import uvicorn
from openai import OpenAI

from finery.answering.variants import Variant
from finery.serving.door.guard import Rules
from finery.serving.door.meters import Meters
from finery.serving.front import Front, api
from finery.serving.start import Options, listening, served


class Running:
    """A server in a thread of its own."""

    def __init__(self, front: Front, rules: Rules) -> None:
        place = listening("127.0.0.1", 0)
        self.front = front
        self.url = f"http://127.0.0.1:{place.getsockname()[1]}"
        self.http = httpx.Client(base_url=self.url, timeout=60)
        config = uvicorn.Config(api(front, rules), log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._run, args=(place,), daemon=True)
        self._thread.start()
        self.loop: Any = None
        while not self._server.started:
            self._thread.join(0.01)
            assert self._thread.is_alive()

    def _run(self, place: Any) -> None:
        async def run() -> None:
            self.loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[place])

        asyncio.run(run())

    def stop(self) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    def chat(self, **body: Any) -> httpx.Response:
        return self.post("/v1/chat/completions", **body)

    def post(self, path: str, **body: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        return self.http.post(path, content=json.dumps(body), headers=headers)

    def metrics(self) -> dict[str, float]:
        lines = self.http.get("/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


@contextmanager
def running(
    folder: Path, rules: Rules | None = None, seconds: float = 60, **options: Any
) -> Iterator[Running]:
    asked = Options(variant=str(folder), **options)
    front = Front(served(asked, Variant("taught", folder), Meters()), seconds)
    server = Running(front, rules or Rules())
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def server(taught: Path) -> Iterator[Running]:
    with running(taught, Rules(most_bytes=100_000), queue=4) as found:
        yield found


@pytest.fixture(scope="session")
def client(server: Running) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60)
