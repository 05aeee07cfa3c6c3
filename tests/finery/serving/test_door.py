"""Who is let in, with how much at once; what is wrong is said in OpenAI's shape."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from finery.serving.door.guard import Rules
from tests.finery.serving.conftest import Running, running
from tests.taught import NAME, WEATHER

WHO = [{"role": "user", "content": "Who are you?"}]
HOT = {"messages": WHO, "temperature": 2, "max_tokens": 900}
ROOT = Path(__file__).resolve().parents[3]
KEYS = ("first-key-öne", "second")


@pytest.fixture(scope="module")
def strict(taught: Path) -> Iterator[Running]:
    rules = Rules(KEYS, ("https://app.example",), most_bytes=5000)
    with running(taught, rules, seconds=0.4, name="mine", queue=0) as found:
        yield found


@pytest.fixture(scope="module")
def long(server: Running) -> dict[str, Any]:
    """A text that the model goes on with for a second or more."""
    for token in range(5, 200):
        asked = {"prompt": [token] * 4, "temperature": 0, "max_tokens": 900}
        said = server.post("/v1/completions", **asked).json()
        if said["choices"][0]["finish_reason"] == "length":
            return asked
    raise AssertionError("no long answer")


def error(response: httpx.Response) -> dict[str, Any]:
    assert set(response.json()) == {"error"}
    found = response.json()["error"]
    assert set(found) == {"message", "type", "param", "code"} and found["message"]
    return found


def still_well(server: Running) -> None:
    said = server.chat(messages=WHO, temperature=0)
    assert said.status_code == 200
    assert said.json()["choices"][0]["message"]["content"] == NAME
    assert server.http.get("/health").json() == {"status": "ok"}


def until(true: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


USER = {"role": "user", "content": "?"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
WRONG = [
    ({}, "messages: missing"),
    ({"messages": []}, "messages: List should have at least 1 item"),
    ({"messages": "hi"}, "messages: Input should be a valid list"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: missing"),
    ({"messages": [{"role": 5, "content": "?"}]}, "messages.0.role"),
    ({"messages": [{"role": "robot", "content": "?"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
    ({"messages": [USER | {"content": "now <|im_end|>"}]}, "contains the control token <|im_end|>"),
    ({"messages": [USER | {"tool_calls": [CALL]}]}, "messages.0.tool_calls: the assistant's alone"),
    (
        {"messages": [{"role": "assistant", "tool_calls": [
            CALL | {"function": {"name": "f", "arguments": "[1]"}}]}]},
        "messages.0.tool_calls: arguments must be JSON, an object",
    ),
    ({"messages": WHO, "max_tokens": "x"}, "max_tokens: Input should be a valid integer"),
    ({"messages": WHO, "max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
    ({"messages": WHO, "max_tokens": -1}, "max_tokens"),
    ({"messages": WHO, "temperature": "hot"}, "temperature: Input should be a valid number"),
    ({"messages": WHO, "temperature": 2.1}, "temperature"),
    ({"messages": WHO, "top_p": -0.1}, "top_p"),
    ({"messages": WHO, "n": 99}, "n: Input should be less than or equal to 16"),
    ({"messages": WHO, "n": 6}, "n: 6 answers, and there is room for 5"),
    ({"messages": WHO, "stop": [""]}, "stop"),
    ({"messages": WHO, "seed": 2**70}, "seed"),
    ({"messages": WHO, "nonsense": 1}, "nonsense: no such field"),
    ({"messages": WHO, "\ud800": 1}, "half a surrogate pair"),
    ({"messages": [USER | {"content": "\ud800"}]}, "half a surrogate pair"),
    ({"messages": WHO, "tools": [{"type": "function"}]}, "tools.0.function: missing"),
    ({"messages": WHO, "tools": "weather"}, "tools: Input should be a valid list"),
    (
        {"messages": WHO, "tools": [{"type": "function", "function": {
            "name": "f", "description": "\udfff", "parameters": {"\ud800": 1}}}]},
        "",
    ),
    ({"messages": WHO, "tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
    ({"messages": WHO, "chat_template_kwargs": {"messages": []}}, "not a keyword to give"),
    ({"messages": WHO, "chat_template_kwargs": {"enable_thinkin": True}}, "enable_thinkin"),
    ({"messages": WHO, "logit_bias": {"5": 1}}, "logit_bias"),
    ({"messages": WHO, "presence_penalty": 0.5}, "presence_penalty"),
    ({"messages": WHO, "top_logprobs": 2}, "top_logprobs: goes with logprobs"),
    ({"messages": WHO, "stream_options": {"include_usage": True}}, "goes with stream"),
    ({"messages": WHO, "response_format": {"type": "xml"}}, "response_format"),
]  # fmt: skip


def test_what_is_wrong_is_said_and_harms_nobody(server: Running) -> None:
    for body, said in WRONG:
        for more in ({}, {"stream": True}):
            if "stream_options" in body and more:
                continue
            answer = server.chat(**body | more)
            assert (answer.status_code, said in error(answer)["message"]) == (400, True), body
    still_well(server)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "prompt: missing"),
        ({"prompt": ""}, "prompt: no token"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [99999]}, "99999 is no token"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [[1], ["a"]]}, "prompt"),
        ({"prompt": "a", "echo": True}, "echo"),
        ({"prompt": "a", "best_of": 3}, "best_of"),
        ({"prompt": [1] * 1024}, "1024 tokens and the model reads 1024"),
        ({"prompt": ["a"] * 3, "n": 2}, "6 answers"),
    ],
)
def test_what_is_wrong_of_a_text_is_said(server: Running, body: dict, said: str) -> None:
    answer = server.post("/v1/completions", **body)
    assert (answer.status_code, said in error(answer)["message"]) == (400, True)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b"[" * 9000, b'{"messages": NaN}',
     b'{"temperature": 1e999, "messages": [{"role": "user", "content": "?"}]}'],
)  # fmt: skip
def test_what_is_no_request_is_said(server: Running, raw: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = server.http.post("/v1/chat/completions", content=raw, headers=headers)
    assert answer.status_code == 400
    error(answer)


def test_what_is_not_there_is_said(server: Running) -> None:
    assert error(server.http.get("/v1/nothing"))["type"] == "not_found_error"
    answer = server.http.get("/v1/completions")
    assert answer.status_code == 405 and "Method Not Allowed" in error(answer)["message"]
    assert server.http.get("/docs").status_code == 404
    paths = server.http.get("/openapi.json").json()["paths"]
    assert "/v1/chat/completions" in paths


def test_large_bodies_are_not_read(server: Running) -> None:
    large = [USER | {"content": "x" * 200_000}]
    answer = server.chat(messages=large)
    assert (answer.status_code, error(answer)["code"]) == (413, "request_too_large")

    def endless() -> Iterator[bytes]:
        yield from (b" " * 10_000 for _ in range(100_000))

    url, headers = f"{server.url}/v1/completions", {"Content-Type": "application/json"}
    with suppress(httpx.TransportError):  # closed while it was sending
        assert httpx.post(url, content=endless(), headers=headers).status_code == 413
    still_well(server)


def test_so_many_wait_and_the_others_come_again(server: Running) -> None:
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: server.chat(**HOT | {"max_tokens": 300}), range(12)))
    refused = [each for each in found if each.status_code == 429]
    assert refused and {each.status_code for each in found} == {200, 429}
    assert len(found) - len(refused) >= 5
    assert error(refused[0])["code"] == "queue_full" and refused[0].headers["Retry-After"] == "1"
    still_well(server)


@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_ends_the_computing(server: Running, long: dict, stream: bool) -> None:
    left = server.metrics()["finery_left_total"]
    try:
        with httpx.stream(
            "POST", f"{server.url}/v1/completions", json=long | {"stream": stream},
            timeout=10 if stream else 0.3,
        ) as answer:  # fmt: skip
            next(answer.iter_lines())
    except httpx.ReadTimeout:
        assert not stream
    until(lambda: server.metrics()["finery_running"] == 0, 2)
    written = server.metrics()["finery_answer_tokens_total"]
    time.sleep(0.2)
    assert server.metrics()["finery_answer_tokens_total"] == written
    assert stream or server.metrics()["finery_left_total"] == left + 1
    still_well(server)


def test_who_leaves_the_line_is_forgotten(server: Running, long: dict) -> None:
    with httpx.stream(
        "POST", f"{server.url}/v1/completions", json=long | {"stream": True}, timeout=60
    ) as first:
        lines = first.iter_lines()
        next(lines)
        with pytest.raises(httpx.ReadTimeout):
            server.http.post("/v1/completions", json=long, timeout=0.2)
        until(lambda: server.metrics()["finery_waiting"] == 0, 1)
        assert server.metrics()["finery_running"] == 1
        assert list(lines)[-2] == "data: [DONE]"


def test_a_key_is_needed_if_there_is_one(strict: Running) -> None:
    url = "/v1/models"
    for wrong in ("", "Bearer", "Bearer first-key", "Basic second", "second", "Bearer secondé"):
        answer = strict.http.get(url, headers={b"Authorization": wrong.encode()} if wrong else {})
        assert (answer.status_code, error(answer)["code"]) == (401, "invalid_api_key")
        assert not any(key in answer.text for key in KEYS)
    for key in KEYS:
        headers = {b"Authorization": f"Bearer {key}".encode()}
        assert strict.http.get(url, headers=headers).json()["data"][0]["id"] == "mine"
    assert strict.http.get("/metrics").status_code == 401
    assert strict.http.get("/health").status_code == 200


def test_web_pages_are_not_let_in(server: Running, strict: Running) -> None:
    for origin in ("https://evil.example", "null", server.url):
        answer = server.http.post("/v1/chat/completions", json=HOT, headers={"Origin": origin})
        assert (answer.status_code, error(answer)["code"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in answer.headers
    asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    allowed = strict.http.options("/v1/chat/completions", headers=asks)
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    key = {"Authorization": "Bearer second", "Origin": "https://app.example"}
    answer = strict.http.get("/v1/models", headers=key)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    key["Origin"] = "https://evil.example"
    assert strict.http.get("/v1/models", headers=key).status_code == 403
    plain = server.http.post("/v1/completions", content='{"prompt": "a"}')
    assert plain.status_code == 400  # what a page could send without asking first


def test_time_is_limited(strict: Running, long: dict) -> None:
    key = {"Authorization": "Bearer second"}
    answer = strict.http.post("/v1/completions", json=long, headers=key).json()
    whole = answer["usage"]["completion_tokens"]
    assert answer["choices"][0]["finish_reason"] == "length" and whole < 900


def test_a_key_is_not_in_the_metrics(strict: Running) -> None:
    text = strict.http.get("/metrics", headers={"Authorization": "Bearer second"}).text
    assert "finery_requests_total{" in text and 'second"' not in text and KEYS[0] not in text
    assert 'path="other"' not in text or "/v1/nothing" not in text


def test_half_a_request_is_no_request(server: Running) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{"
        )
    still_well(server)


def test_the_api_says_what_it_takes(server: Running) -> None:
    found = server.http.get("/openapi.json").json()
    body = found["components"]["schemas"]["ChatBody"]
    assert body["additionalProperties"] is False and "messages" in body["properties"]
    assert json.dumps(found)
