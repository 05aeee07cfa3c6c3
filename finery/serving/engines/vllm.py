"""vLLM's server, in an environment of its own, which has other versions of what is here."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.serving.engines.engine import Ask, Token

MODEL = "model"
PROGRAM = "vllm.entrypoints.openai.api_server"


@dataclass(frozen=True)
class Vllm:
    """A dialect: completions of tokens, answered in tokens. `python` is that environment's."""

    python: Path
    folder: Path
    streams: int
    context: int | None
    name = "vllm"
    shapes = True
    path = "/v1/completions"
    seconds = 1800.0

    def command(self, port: int) -> Sequence[str]:
        settings = {
            "--model": self.folder,
            "--served-model-name": MODEL,
            "--host": "127.0.0.1",
            "--port": port,
            "--max-num-seqs": self.streams,
            "--max-model-len": self.context,
            "--generation-config": "vllm",  # sampling is told with each request
            "--uvicorn-log-level": "warning",
        }
        given = [str(x) for pair in settings.items() if pair[1] is not None for x in pair]
        return [str(self.python), "-m", PROGRAM, *given, "--disable-log-stats"]

    def environment(self, key: str) -> Mapping[str, str]:
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return own | {"VLLM_API_KEY": key, "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}

    def body(self, ask: Ask) -> dict[str, Any]:
        sampling = ask.sampling
        body = {
            "model": MODEL,
            "prompt": list(ask.prompt),
            "max_tokens": ask.room,
            "stream": True,
            "return_token_ids": True,
            "return_tokens_as_token_ids": True,
            "stop_token_ids": list(ask.stops),
            "ignore_eos": ask.schema is None,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "repetition_penalty": sampling.repetition_penalty,
            "seed": sampling.seed,
            "logprobs": ask.likeliest,
        }
        if ask.schema is not None:
            body["structured_outputs"] = {"json": ask.schema or {"type": "object"}}
        return {name: value for name, value in body.items() if value is not None}

    def reader(self) -> Callable[[dict[str, Any]], list[Token]]:
        return lambda event: list(_tokens(event))

    def stopped(self, event: dict[str, Any]) -> bool:
        return any(choice.get("finish_reason") == "stop" for choice in event.get("choices") or ())


def _tokens(event: dict[str, Any]) -> Iterator[Token]:
    for choice in event.get("choices") or ():
        chances = choice.get("logprobs") or {}
        for place, token in enumerate(choice.get("token_ids") or ()):
            if not chances:
                yield Token(token)
                continue
            likeliest = chances["top_logprobs"][place] or {}
            pairs = [(int(name.removeprefix("token_id:")), p) for name, p in likeliest.items()]
            pairs.sort(key=lambda pair: -pair[1])
            yield Token(token, chances["token_logprobs"][place], tuple(pairs))
