"""What an answer looks like, as OpenAI writes it."""

import secrets
import time
from typing import Any, Literal

from pydantic import BaseModel

from finery.answering.engine import Ended

Reason = Literal["stop", "length", "tool_calls"]


class Likely(BaseModel):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(Likely):
    top_logprobs: list[Likely]


class ChatLogprobs(BaseModel):
    content: list[TokenLogprob]
    refusal: None = None


class CalledFunction(BaseModel):
    name: str
    arguments: str


class Called(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Said(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str | None
    reasoning_content: str | None = None
    tool_calls: list[Called] | None = None
    refusal: None = None


class ChatChoice(BaseModel):
    index: int
    message: Said
    logprobs: ChatLogprobs | None = None
    finish_reason: Reason


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class TextLogprobs(BaseModel):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(BaseModel):
    index: int
    text: str
    logprobs: TextLogprobs | None = None
    finish_reason: Reason


class Completion(BaseModel):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "finery"
    root: str
    """The name of its folder; of a release with the version."""
    max_model_len: int | None


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Error(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class Failure(BaseModel):
    error: Error


def head(kind: str, model: str) -> dict[str, Any]:
    """What each part of a reply begins with."""
    prefix = "cmpl" if kind.startswith("text") else "chatcmpl"
    return {
        "id": f"{prefix}-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def usage(prompt_tokens: int, ended: list[Ended]) -> dict[str, int]:
    said = sum(each.tokens for each in ended)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": said,
        "total_tokens": prompt_tokens + said,
    }


def called(call: dict[str, Any]) -> dict[str, Any]:
    """A call with an id of nine letters and digits, as Mistral's templates insist."""
    import json

    function = {
        "name": call["name"],
        "arguments": json.dumps(call["arguments"], ensure_ascii=False),
    }
    return {"id": secrets.token_hex(5)[:9], "type": "function", "function": function}
