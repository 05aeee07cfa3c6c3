"""The API: each endpoint, and what is refused in OpenAI's shape."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from finery.errors import UserError
from finery.serving.door.guard import Guard, Rules, refusal
from finery.serving.door.sending import Events, Reply
from finery.serving.engines.engine import EngineError
from finery.serving.openai import chat, completions
from finery.serving.openai.bodies import Asked, ChatBody, CompletionBody, told
from finery.serving.openai.replies import (
    ChatCompletion,
    Completion,
    Failure,
    Health,
    Model,
    Models,
)
from finery.serving.refusals import Refused
from finery.serving.served import Served

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/models", "/health", "/metrics")
REFUSALS: dict[int | str, Any] = {
    status: {"model": Failure} for status in (400, 401, 403, 404, 405, 408, 413, 429, 500, 503)
}
log = logging.getLogger(__name__)


class Front:
    """What is served now, and how long an answer may take, in seconds."""

    def __init__(self, served: Served, seconds: float) -> None:
        self.served, self._seconds, self.meters = served, seconds, served.meters
        for name in ("running", "waiting", "alive"):
            self.meters.show(f"finery_{name}", SHOWN[name], partial(self._shown, name))

    async def change(self, served: Served) -> None:
        """Serve another model; what was asked of the old one is answered by it before it goes."""
        old, self.served = self.served, served
        self.meters.changes.inc()
        await old.close()

    def reply(
        self,
        body: Asked,
        answers: int,
        prepare: Callable[[Any, Served], Any],
        kind: Any,
    ) -> Response:
        """The answer to a request, whole or in pieces, by `kind`'s `whole` and `chunks`."""
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def whole() -> dict[str, Any]:
            async with self._prepared(body, answers, prepare) as (served, work):
                return await kind.whole(work, served, deadline)

        async def pieces() -> AsyncIterator[dict[str, Any]]:
            options = body.stream_options
            with_usage = bool(options and options.include_usage)
            async with self._prepared(body, answers, prepare) as (served, work):
                async for each in kind.chunks(work, served, deadline, with_usage):
                    yield each

        if body.stream_options and not body.stream:
            raise Refused("stream_options: goes with stream: true", param="stream_options")
        return Events(pieces, deadline) if body.stream else Reply(whole, deadline)

    @asynccontextmanager
    async def _prepared(
        self, body: Asked, answers: int, prepare: Callable[[Any, Served], Any]
    ) -> AsyncIterator[tuple[Served, Any]]:
        served = self.served
        served.check()
        with served, served.line.enter(answers):
            yield served, await run_sync(prepare, body, served)

    def _shown(self, name: str) -> float:
        line = self.served.line
        values = {"running": line.computing, "waiting": line.waiting}
        return float(values.get(name, self.served.engine.alive))


SHOWN = {
    "running": "Answers that are computed now.",
    "waiting": "Answers that wait for their turn.",
    "alive": "Whether the engine computes.",
}


def api(front: Front, rules: Rules) -> FastAPI:
    """The app. Its OpenAPI is at /openapi.json."""
    app = FastAPI(
        title="Finery", docs_url=None, redoc_url=None, responses=REFUSALS, lifespan=_until_end
    )
    app.state.front = front
    _endpoints(app, front)
    _refusals(app)
    app.add_middleware(Guard, rules=rules, meters=front.meters, paths=PATHS)
    if rules.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(rules.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return app


@asynccontextmanager
async def _until_end(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.front.served.engine.close()


def _endpoints(app: FastAPI, front: Front) -> None:
    @app.post("/v1/chat/completions", response_model=ChatCompletion)
    async def chat_completions(body: ChatBody) -> Response:
        """Answer a conversation."""
        return front.reply(body, body.n or 1, chat.chat, chat)

    @app.post("/v1/completions", response_model=Completion)
    async def text_completions(body: CompletionBody) -> Response:
        """Go on with a text."""
        return front.reply(body, completions.answers(body), completions.texts, completions)

    @app.get("/v1/models")
    async def models() -> Models:
        """What is served."""
        return Models(data=[_model(front.served)])

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Model:
        """What is served, if it has that name."""
        if name != front.served.name:
            raise Refused(f"{name}: no such model", 404, param="model", code="model_not_found")
        return _model(front.served)

    @app.get("/health")
    async def health() -> Health:
        """Whether the engine computes."""
        front.served.check()
        return Health()

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """In Prometheus's text format."""
        return Response(front.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _model(served: Served) -> Model:
    root, limit = served.folder.resolve().name, served.context
    return Model(id=served.name, created=served.since, root=root, max_model_len=limit)


def _refusals(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return refusal(error)

    @app.exception_handler(UserError)
    async def asked_wrong(_: Request, error: UserError) -> Response:
        return refusal(Refused(str(error)))

    @app.exception_handler(EngineError)
    async def down(_: Request, error: EngineError) -> Response:
        return refusal(Refused(str(error), 503, code="engine_down"))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        said, param = told(error.errors()[0])
        return refusal(Refused(said, param=param))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        said = f"{request.method} {request.url.path}: {error.detail}"
        return refusal(Refused(said, error.status_code, headers=headers))

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:
        log.error("an answer failed", exc_info=error)
        return refusal(Refused("the answer failed; the server's log says why", 500))
