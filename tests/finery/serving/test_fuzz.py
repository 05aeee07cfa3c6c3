"""Whatever the API's own description allows, and what it does not, is answered and harms nobody."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from finery.serving.openai.bodies import ChatBody, CompletionBody
from tests.finery.serving.conftest import Running, running

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["\ud800", "<|im_end|>", "\x00", "{{ 7 * 7 }}", 2**64, -1, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)  # fmt: skip


def of(schema: dict[str, Any], known: dict[str, Any]) -> st.SearchStrategy:
    """What a part of a JSON Schema allows, and now and then something else."""
    return st.integers(0, 29).flatmap(lambda luck: _right(schema, known) if luck else ANY)


def _right(schema: dict[str, Any], known: dict[str, Any]) -> st.SearchStrategy:
    if "$ref" in schema:
        return _right(known[schema["$ref"].rpartition("/")[2]], known)
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return st.one_of([of(each, known) for each in choices])
    match schema.get("type"):
        case "object":
            properties = {k: of(v, known) for k, v in schema.get("properties", {}).items()}
            needed = set(schema.get("required", ()))
            return st.fixed_dictionaries(
                {k: v for k, v in properties.items() if k in needed},
                optional={k: v for k, v in properties.items() if k not in needed},
            )
        case "array":
            return st.lists(of(schema.get("items", {}), known), min_size=1, max_size=3)
        case "string":
            return st.text(max_size=12)
        case "integer":
            return st.integers(schema.get("minimum", -5), min(schema.get("maximum", 40), 40))
        case "number":
            return st.floats(schema.get("minimum", 0), schema.get("maximum", 2))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return ANY


def bodies(model: type) -> st.SearchStrategy:
    schema = model.model_json_schema()
    return of(schema, schema["$defs"])


@pytest.fixture(scope="module", params=["transformers", "llamacpp"])
def hurried(request: pytest.FixtureRequest, taught: Path) -> Iterator[Running]:
    """A server that cuts answers off soon."""
    if request.param == "transformers":
        with running(taught, seconds=0.1, queue=32) as found:
            yield found
        return
    found = request.getfixturevalue("by_llamacpp")
    seconds, found.front._seconds = found.front._seconds, 0.1
    yield found
    found.front._seconds = seconds


def test_nothing_breaks_it(hurried: Running) -> None:
    seen: set[int] = set()
    paths = {"/v1/chat/completions": ChatBody, "/v1/completions": CompletionBody}
    examples = 100 if hurried.front.served.engine.name == "llamacpp" else 40

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.one_of([st.tuples(st.just(path), bodies(body)) for path, body in paths.items()]))
    def ask(asked: tuple[str, Any]) -> None:
        path, body = asked
        headers = {"Content-Type": "application/json"}
        answer = hurried.http.post(path, content=json.dumps(body), headers=headers, timeout=20)
        seen.add(answer.status_code)
        assert answer.status_code in (200, 400, 404, 503), answer.text
        _check(answer)

    ask()
    assert seen >= {200, 400}
    assert hurried.http.get("/health").status_code == 200
    shown = hurried.metrics()
    assert shown["finery_running"] == shown["finery_waiting"] == 0


def _check(answer: httpx.Response) -> None:
    if answer.headers["content-type"].startswith("text/event-stream"):
        assert answer.text.endswith("data: [DONE]\n\n")
        return
    found = answer.json()
    if answer.status_code == 200:
        assert found["choices"] and found["usage"]["completion_tokens"] >= 0
    else:
        assert found["error"]["message"]
