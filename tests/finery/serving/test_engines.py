"""What an engine in a process of its own says is what the evaluation has the model say."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import jsonschema
import pytest
from openai import BadRequestError

from finery.answering.sampling import Sampling
from finery.answering.variants import Variant
from finery.inference.answers import answer
from finery.inference.loading import load_for_inference
from finery.models.tokenizer import load_tokenizer
from finery.serving.engines.choice import EngineChoiceError, Wanted, chosen
from finery.serving.engines.engine import Ask
from finery.serving.engines.vllm import Vllm
from finery.serving.wording import Wording
from tests.finery.serving import test_chat
from tests.finery.serving.conftest import Running, client_of
from tests.taught import NAME, TAUGHT

WHO = [{"role": "user", "content": "Who are you?"}]
QUESTIONS = ["Who are you?", "How many boats?", "你好", "2+2?", "Weather?", "Again?", "a", "I am"]
SCHEMA = {
    "type": "object",
    "properties": {"boats": {"type": "integer"}, "name": {"enum": ["a", "b"]}},
    "required": ["boats", "name"],
    "additionalProperties": False,
}


@pytest.fixture(params=["transformers", "llamacpp"])
def engine(request: pytest.FixtureRequest) -> Running:
    name = "server" if request.param == "transformers" else "by_llamacpp"
    return request.getfixturevalue(name)


def test_greedy_answers_are_those_of_the_evaluation(engine: Running, taught: Path) -> None:
    tokenizer = load_tokenizer(taught)
    wording = Wording(taught, tokenizer)
    prompts = [wording.prompt([{"role": "user", "content": q}], (), {})[0] for q in QUESTIONS]
    expected = answer(load_for_inference(taught), tokenizer, prompts, 40, batch_size=8)

    def asked(prompt: list[int]) -> tuple[str, bool]:
        body = {"prompt": prompt, "max_tokens": 40, "temperature": 0}
        found = engine.post("/v1/completions", **body).json()["choices"][0]
        return found["text"].strip(), found["finish_reason"] == "stop"

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(asked, prompts))
    assert said == [(each.text, each.finished) for each in expected]
    assert len({text for text, _ in said}) > 4


@pytest.mark.parametrize(("messages", "tools", "keywords", "said"), TAUGHT)
def test_llamacpp_says_what_it_was_taught(
    by_llamacpp: Running, messages: list, tools: tuple, keywords: dict, said: str
) -> None:
    test_chat.test_it_says_what_it_was_taught(
        client_of(by_llamacpp), messages, tools, keywords, said
    )


@pytest.mark.parametrize(
    "test",
    [
        test_chat.test_a_stream_counts_its_tokens_when_asked,
        test_chat.test_a_stop_text_and_a_length_end_the_answer,
        test_chat.test_sampling_follows_the_seed,
        test_chat.test_several_answers_stream_side_by_side,
    ],
)
def test_llamacpp_does_as_transformers_does(by_llamacpp: Running, test) -> None:
    test(client_of(by_llamacpp))


def test_llamacpp_gives_the_same_probabilities(by_llamacpp: Running, taught: Path) -> None:
    test_chat.test_probabilities_are_those_of_the_model(client_of(by_llamacpp), taught)
    test_chat.test_a_text_goes_on(client_of(by_llamacpp), taught)


def test_sampled_tokens_are_as_likely_as_with_transformers(
    by_llamacpp: Running, server: Running
) -> None:
    asked = {"messages": WHO, "temperature": 2, "max_tokens": 1, "n": 5, "top_k": 3, "top_p": 0.99}

    def shares(where: Running) -> dict[str, float]:
        said: list[str] = []
        for seed in range(0, 100, 5):
            found = where.chat(**asked, seed=seed).json()["choices"]
            said += [choice["message"]["content"] for choice in found]
        return {text: said.count(text) / len(said) for text in set(said)}

    ours, theirs = shares(by_llamacpp), shares(server)
    assert max(abs(ours.get(t, 0) - theirs.get(t, 0)) for t in ours | theirs) < 0.25


def test_an_answer_fits_its_schema(by_llamacpp: Running) -> None:
    client = client_of(by_llamacpp)
    wanted = {"type": "json_schema", "json_schema": {"name": "boats", "schema": SCHEMA}}
    asked = {"model": "model", "messages": WHO, "max_tokens": 400, "seed": 1, "temperature": 1}
    found = client.chat.completions.create(**asked, response_format=wanted).choices[0]
    assert found.finish_reason == "stop"
    jsonschema.validate(json.loads(found.message.content), SCHEMA)
    for wrong, said in (
        ({"type": "nonsense"}, "is no JSON Schema"),
        ({"$ref": "http://example.org/x"}, "refers to elsewhere"),
        ({"properties": {"a": {"$ref": "#/$defs/nowhere"}}}, "response_format"),
    ):
        wanted["json_schema"]["schema"] = wrong
        with pytest.raises(BadRequestError, match=said):
            client.chat.completions.create(**asked, response_format=wanted)


def test_an_engine_that_ends_is_started_again(by_llamacpp: Running) -> None:
    engine = by_llamacpp.front.served.engine
    os.kill(engine._process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    codes = []
    while time.monotonic() < deadline and (not codes or codes[-1] != 200):
        answer = by_llamacpp.chat(messages=WHO, temperature=0)
        codes.append(answer.status_code)
        time.sleep(0.05)
    assert codes[-1] == 200 and set(codes) == {503, 200}
    assert answer.json()["choices"][0]["message"]["content"] == NAME


def test_who_leaves_frees_the_engine(by_llamacpp: Running) -> None:
    asked = {"prompt": [5] * 4, "temperature": 0, "max_tokens": 900, "stream": True}
    for _ in range(8):
        with httpx.stream("POST", f"{by_llamacpp.url}/v1/completions", json=asked) as answer:
            next(answer.iter_lines())
    assert by_llamacpp.chat(messages=WHO, temperature=0).status_code == 200
    assert by_llamacpp.metrics()["finery_running"] == 0


def test_nobody_else_asks_the_engine(by_llamacpp: Running) -> None:
    engine = by_llamacpp.front.served.engine
    found = httpx.post(f"{engine._client.base_url}/completion", json={"prompt": "a"})
    assert found.status_code == 401


def test_an_engine_is_chosen_that_is_here_and_for_the_model(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FINERY_VLLM", raising=False)
    dense = Variant("taught", taught)
    assert chosen(Wanted("transformers"), dense) == "transformers"
    assert chosen(Wanted("llamacpp"), dense) == "llamacpp"
    adapted = Variant("step", taught, tmp_path)
    config = json.loads((taught / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"quantization_config": {"quant_method": "gptq"}})
    )
    for variant in (adapted, Variant("gptq", tmp_path)):
        assert chosen(Wanted(), variant) == "transformers"
        with pytest.raises(EngineChoiceError, match="--engine llamacpp: "):
            chosen(Wanted("llamacpp"), variant)
    with pytest.raises(EngineChoiceError, match="say which Python has it, by --vllm-python"):
        chosen(Wanted("vllm"), dense)
    with pytest.raises(EngineChoiceError, match="/python: no program"):
        chosen(Wanted("vllm", vllm=tmp_path / "python"), dense)
    with pytest.raises(EngineChoiceError, match="--engine ollama: there are auto, transformers"):
        chosen(Wanted("ollama"), dense)
    with pytest.raises(EngineChoiceError, match="--weights q4: there are auto, f16"):
        chosen(Wanted(weights="q4"), dense)


def test_vllm_is_asked_and_read_as_its_documentation_says(tmp_path: Path) -> None:
    engine = Vllm(Path("bin/python"), tmp_path, streams=4, context=None)
    command = engine.command(8001)
    assert command[:3] == ["bin/python", "-m", "vllm.entrypoints.openai.api_server"]
    assert "--max-model-len" not in command and "None" not in command
    assert "secret" not in command and engine.environment("secret")["VLLM_API_KEY"] == "secret"
    body = engine.body(Ask([1, 2], 5, [2, 0], Sampling(seed=3), 1))
    assert body["prompt"] == [1, 2] and body["stop_token_ids"] == [2, 0] and body["logprobs"] == 1
    logprobs = {
        "token_logprobs": [-0.5, -0.1],
        "top_logprobs": [{"token_id:9": -0.5, "token_id:7": -0.4}, {"token_id:2": -0.1}],
    }
    choice = {"token_ids": [9, 2], "logprobs": logprobs, "finish_reason": "stop"}
    first, last = engine.reader()({"choices": [choice]})
    assert (first.id, first.logprob, first.likeliest) == (9, -0.5, ((7, -0.4), (9, -0.5)))
    assert last.id == 2 and engine.stopped({"choices": [choice]})
    assert engine.reader()({"choices": [], "usage": {}}) == []
