"""A server on loopback, of the model that was taught a few answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest
import uvicorn
from openai import OpenAI

from finery.answering.variants import Variant
from finery.models.tokenizer import load_tokenizer
from finery.serving.door.guard import Rules
from finery.serving.door.meters import Meters
from finery.serving.engines.choice import Wanted
from finery.serving.engines.gguf import gguf_of
from finery.serving.engines.llamacpp import LlamaCpp, speller
from finery.serving.engines.over_http import OverHttp
from finery.serving.front import Front, api
from finery.serving.served import Served
from finery.serving.start import Options, listening, served
from finery.serving.wording import Wording


class Running:
    """A server in a thread of its own."""

    def __init__(self, make: Callable[[], Awaitable[Front]], rules: Rules) -> None:
        self._place = listening("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._place.getsockname()[1]}"
        self.http = httpx.Client(base_url=self.url, timeout=60)
        self._make, self._rules = make, rules
        self._ready = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        while not self._ready.wait(0.05):
            assert self._thread.is_alive()

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.front = await self._make()
        config = uvicorn.Config(api(self.front, self._rules), log_level="warning")
        self._server = uvicorn.Server(config)
        self._ready.set()
        await self._server.serve(sockets=[self._place])

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
    folder: Path,
    rules: Rules | None = None,
    seconds: float = 60,
    engine: Callable[[], OverHttp] | None = None,
    **options: Any,
) -> Iterator[Running]:
    """A server of a folder; by transformers unless another engine is given."""
    asked = Options(variant=str(folder), wanted=Wanted("transformers"), **options)

    async def front() -> Front:
        if engine is None:
            return Front(await served(asked, Variant("taught", folder), Meters()), seconds)
        computing = engine()
        await computing.start()
        wording = Wording(folder, load_tokenizer(folder))
        return Front(Served(folder.name, wording, computing, asked.queue, Meters()), seconds)

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
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files are kept that are made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def taught_gguf(taught: Path, home: Path) -> Path:
    """The taught model for llama.cpp, in float32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("XDG_CACHE_HOME", str(home))
        return gguf_of(taught, "f32", lambda line: None)


@pytest.fixture(scope="session")
def by_llamacpp(taught: Path, taught_gguf: Path) -> Iterator[Running]:
    pytest.importorskip("xllamacpp")
    spelt = speller(load_tokenizer(taught))
    dialect = LlamaCpp(taught_gguf, streams=4, context=1024, threads=1, spelt=spelt)
    with running(taught, engine=lambda: OverHttp(dialect)) as found:
        yield found


@pytest.fixture(scope="session")
def client(server: Running) -> OpenAI:
    return client_of(server)


def client_of(server: Running) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60)
