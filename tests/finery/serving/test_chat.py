"""What OpenAI's own client gets from the server."""

import json

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from finery.answering.thoughts import parted
from tests.taught import CALL, NAME, RAIN, TAUGHT, WEATHER

WHO = [{"role": "user", "content": "Who are you?"}]
GREEDY = {"model": "model", "temperature": 0}


def streamed(client: OpenAI, **asked):
    chunks = list(client.chat.completions.create(**GREEDY | asked, stream=True))
    deltas = [each.choices[0].delta for each in chunks if each.choices]
    return chunks, "".join(delta.content or "" for delta in deltas), deltas


def as_openai(messages: list) -> list:
    """With the arguments of calls as JSON."""
    found = json.loads(json.dumps(messages))
    for call in (call for message in found for call in message.get("tool_calls", ())):
        call["id"] = "call00001"
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    for message in found:
        if message["role"] == "tool":
            message["tool_call_id"] = "call00001"
    return found


@pytest.mark.parametrize(("messages", "tools", "keywords", "said"), TAUGHT)
def test_it_says_what_it_was_taught(
    client: OpenAI, messages: list, tools: tuple, keywords: dict, said: str
) -> None:
    asked = {"messages": as_openai(messages), "extra_body": {"chat_template_kwargs": keywords}}
    asked |= {"tools": list(tools)} if tools else {}
    answer = client.chat.completions.create(**GREEDY | asked).choices[0]
    chunks, content, deltas = streamed(client, **asked)
    thought, words = parted(said)
    if said == CALL:
        assert (answer.finish_reason, answer.message.content) == ("tool_calls", None)
        (call,) = answer.message.tool_calls
        (part,) = [call for delta in deltas for call in delta.tool_calls or ()]
        for each in (call, part):
            assert each.function.name == "weather"
            assert json.loads(each.function.arguments) == {"city": "Oslo"}
        assert (content, chunks[-1].choices[0].finish_reason) == ("", "tool_calls")
        return
    assert answer.finish_reason == chunks[-1].choices[0].finish_reason == "stop"
    assert answer.message.content == content == words
    told = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert (getattr(answer.message, "reasoning_content", None) or "") == told.strip() == thought


def test_a_stream_counts_its_tokens_when_asked(client: OpenAI) -> None:
    whole = client.chat.completions.create(**GREEDY, messages=WHO)
    chunks, _, _ = streamed(client, messages=WHO, stream_options={"include_usage": True})
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert whole.usage.completion_tokens > 5
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert {each.id for each in chunks} == {chunks[0].id} != {whole.id}
    without, _, _ = streamed(client, messages=WHO)
    assert all(each.usage is None and each.choices for each in without)


def test_words_come_while_there_are_tools(client: OpenAI) -> None:
    asked = {"messages": as_openai(TAUGHT[-1][0]), "tools": [WEATHER]}
    _, content, deltas = streamed(client, **asked)
    assert content == RAIN and sum(bool(delta.content) for delta in deltas) > 3
    asked["tool_choice"] = "none"
    assert not client.chat.completions.create(**GREEDY, **asked).choices[0].message.tool_calls


def test_a_stop_text_and_a_length_end_the_answer(client: OpenAI) -> None:
    def ended(**more):
        choice = client.chat.completions.create(**GREEDY, messages=WHO, **more).choices[0]
        return choice.message.content, choice.finish_reason

    assert ended(stop=["a te", "nowhere"]) == ("I am", "stop")
    assert ended(stop="an") == ("I am a test,", "stop")
    said, reason = ended(max_tokens=3)
    assert NAME.startswith(said) and reason == "length"
    assert ended(max_tokens=99, max_completion_tokens=3) == (said, reason)


def test_sampling_follows_the_seed(client: OpenAI) -> None:
    def sampled(seed: int | None, n: int = 1) -> list[str]:
        found = client.chat.completions.create(
            model="model", messages=WHO, temperature=2, max_tokens=20, seed=seed, n=n
        )
        return [choice.message.content for choice in found.choices]

    assert sampled(1) == sampled(1) != sampled(2)
    three = sampled(1, n=3)
    assert three[0] == sampled(1)[0] and len(set(three)) == 3 == len(three)
    assert sampled(None) != sampled(None)
    assert sampled(-1) == sampled(-1)


def test_several_answers_stream_side_by_side(client: OpenAI) -> None:
    chunks, _, _ = streamed(client, messages=WHO, n=2)
    said = ["", ""]
    for choice in (choice for each in chunks for choice in each.choices):
        said[choice.index] += choice.delta.content or ""
    assert said == [NAME, NAME]


def test_probabilities_are_those_of_the_model(client: OpenAI, taught) -> None:
    import torch

    from finery.answering.engine import Request
    from finery.answering.loading import engines
    from finery.answering.variants import Variant
    from finery.inference.loading import load_for_inference

    asked = {"messages": WHO, "logprobs": True, "top_logprobs": 3}
    found = client.chat.completions.create(**GREEDY, **asked).choices[0].logprobs.content
    (engine,) = engines([Variant("taught", taught)])
    ids = engine.prompt(Request(WHO))
    for place in found:
        logits = load_for_inference(taught)(torch.tensor([ids])).logits[0, -1]
        values, best = logits.log_softmax(-1).topk(3)
        assert place.logprob == pytest.approx(values[0].item(), abs=1e-3)
        likeliest = [each.logprob for each in place.top_logprobs]
        assert likeliest == pytest.approx(values.tolist(), abs=1e-2)
        assert place.top_logprobs[0].token == place.token
        ids = [*ids, best[0].item()]
    assert "".join(place.token for place in found) == NAME
    assert b"".join(bytes(place.bytes) for place in found) == NAME.encode()
    chunks, _, _ = streamed(client, **asked)
    parts = [each.choices[0].logprobs for each in chunks if each.choices[0].logprobs]
    assert [place for part in parts for place in part.content] == found


def test_a_text_goes_on(client: OpenAI, taught) -> None:
    from finery.answering.engine import Request
    from finery.answering.loading import engines
    from finery.answering.variants import Variant

    (engine,) = engines([Variant("taught", taught)])
    prompt = engine._text(Request(WHO))
    ids = engine.prompt(Request(WHO))
    for asked in (prompt, ids, [ids], [prompt]):
        found = client.completions.create(**GREEDY, prompt=asked, max_tokens=99, logprobs=2)
        assert (found.choices[0].text, found.choices[0].finish_reason) == (NAME, "stop")
        assert "".join(found.choices[0].logprobs.tokens) == NAME
        assert found.choices[0].logprobs.text_offset[:2] == [0, 1]
        assert found.usage.prompt_tokens == len(ids)
    two = client.completions.create(**GREEDY, prompt=[prompt, "I am"], n=2, max_tokens=5)
    texts = [choice.text for choice in two.choices]
    assert [choice.index for choice in two.choices] == [0, 1, 2, 3]
    assert texts[0] == texts[1] != texts[2] == texts[3]
    stream = client.completions.create(**GREEDY, prompt="I am", max_tokens=9, stream=True)
    whole = client.completions.create(**GREEDY, prompt="I am", max_tokens=9).choices[0].text
    assert "".join(each.choices[0].text for each in stream) == whole
    assert whole[:1] == " "


def test_models_are_listed(client: OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.max_model_len) == ("model", 1024)
    assert client.models.retrieve("model") == model
    with pytest.raises(NotFoundError):
        client.models.retrieve("other")
    with pytest.raises(NotFoundError, match="model is served"):
        client.chat.completions.create(model="gpt", messages=WHO)


def test_what_the_engine_has_not_is_refused(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="response_format: transformers writes text alone"):
        client.chat.completions.create(
            **GREEDY, messages=WHO, response_format={"type": "json_object"}
        )
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(
            **GREEDY, messages=[{"role": "user", "content": "boats " * 1200}]
        )
    assert refused.value.code == "context_length_exceeded"
