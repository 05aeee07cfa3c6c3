"""What a request may say, field by field: an unknown one is refused, none is ignored in silence."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

ANSWERS = 16
"""Of one request, at most."""
TOKEN = Annotated[int, Field(ge=0, lt=2**31)]
Stop = Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=16)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TextPart(Body):
    type: Literal["text"]
    text: str


class Function(Body):
    name: str
    arguments: str = Field(description="JSON, an object.")


class ToolCall(Body):
    id: str | None = None
    type: Literal["function"] = "function"
    function: Function


class ChatMessage(Body):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    name: str | None = None
    reasoning_content: str | None = Field(None, description="What the assistant thought.")
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: None = None
    annotations: list[JsonValue] | None = Field(None, max_length=0)
    audio: None = None
    function_call: None = None


class ToolFunction(Body):
    name: str = Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")
    description: str | None = None
    parameters: dict[str, JsonValue] | None = Field(None, description="A JSON Schema.")
    strict: bool | None = None


class Tool(Body):
    type: Literal["function"]
    function: ToolFunction


class AnyText(Body):
    type: Literal["text"]


class JsonObject(Body):
    type: Literal["json_object"]


class NamedSchema(Body):
    name: str
    description: str | None = None
    schema_: dict[str, JsonValue] = Field({}, alias="schema")
    strict: bool | None = None


class JsonSchema(Body):
    type: Literal["json_schema"]
    json_schema: NamedSchema


Format = Annotated[AnyText | JsonObject | JsonSchema, Field(discriminator="type")]


class StreamOptions(Body):
    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class Asked(Body):
    """What both kinds of requests may say. What is left out is as the model's folder has it."""

    model: str | None = Field(None, description="By default, and at any rate, the one served.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=ANSWERS)
    stop: str | Stop | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    max_tokens: int | None = Field(None, ge=1, lt=2**31)
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(None, ge=-1, lt=2**31, description="0 or -1: all tokens.")
    repetition_penalty: float | None = Field(None, gt=0, le=10, allow_inf_nan=False)
    presence_penalty: Literal[0] | Literal[0.0] | None = None
    frequency_penalty: Literal[0] | Literal[0.0] | None = None
    logit_bias: dict[str, float] | None = Field(None, max_length=0)
    response_format: Format | None = None
    user: str | None = Field(None, description="For whom; not used.")

    @model_validator(mode="before")
    @classmethod
    def _unicode(cls, body: Any) -> Any:
        """JSON may have half a character anywhere, which no tokenizer takes."""
        if not isinstance(body, dict):
            raise ValueError("the body is no JSON object; send one as application/json")
        try:
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("half a surrogate pair, which is no character") from None
        return body


class ChatBody(Asked):
    """A conversation that waits for the assistant's turn."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=10_000)
    max_completion_tokens: int | None = Field(None, ge=1, lt=2**31)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[Tool] | None = Field(None, max_length=128)
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: dict[str, JsonValue] | None = Field(
        None, description="Keywords of the chat template, such as enable_thinking."
    )
    metadata: dict[str, str] | None = Field(None, description="Not used.")
    store: Literal[False] | None = None
    modalities: list[Literal["text"]] | None = None
    service_tier: str | None = Field(None, description="Not used.")
    safety_identifier: str | None = Field(None, description="Not used.")
    prompt_cache_key: str | None = Field(None, description="Not used.")


class CompletionBody(Asked):
    """A text, or several, to go on with; no chat template is put around it."""

    prompt: (
        str
        | Annotated[list[str], Field(min_length=1, max_length=ANSWERS)]
        | Annotated[list[TOKEN], Field(min_length=1)]
        | Annotated[
            list[Annotated[list[TOKEN], Field(min_length=1)]],
            Field(min_length=1, max_length=ANSWERS),
        ]
    )
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: Literal[False] | None = None
    suffix: Literal[""] | None = None
    best_of: Literal[1] | None = None


def told(error: dict[str, Any]) -> tuple[str, str | None]:
    """What pydantic found, in words, and the field."""
    place = [str(part) for part in error["loc"] if part != "body"]
    name = ".".join(place)
    if error["type"] == "extra_forbidden":
        return f"{name}: no such field", name
    if error["type"] == "missing":
        return f"{name or 'body'}: missing", name or None
    if error["type"] == "json_invalid":
        return "the body is not JSON", None
    if not place:
        return error["msg"].removeprefix("Value error, "), None
    return f"{name}: {error['msg']}", name
