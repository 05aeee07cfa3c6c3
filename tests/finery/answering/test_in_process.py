"""The engine says what the evaluation has a model say, and stops when it should."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from finery.answering.engine import ContextFull, Request, whole
from finery.answering.in_process import InProcess
from finery.answering.loading import engines
from finery.answering.prompts import Prompts
from finery.answering.sampling import Sampling
from finery.answering.variants import Variant, variant
from finery.inference.answers import answer
from finery.inference.loading import load_for_inference
from finery.models.conversation import ConversationError
from finery.models.tokenizer import load_tokenizer
from tests.taught import CALL, NAME, TAUGHT, THOUGHT, WEATHER, WORLD

WHO = [{"role": "user", "content": "Who are you?"}]
LONG = Sampling(max_new_tokens=40)


def texts(engine: InProcess, request: Request) -> list[str]:
    return [piece.text for piece in engine.stream(request)]


@pytest.mark.parametrize(("messages", "tools", "keywords", "said"), TAUGHT)
def test_it_says_what_it_was_taught_in_pieces_that_add_up(
    engine: InProcess, messages: list, tools: tuple, keywords: dict, said: str
) -> None:
    pieces = list(engine.stream(Request(messages, Sampling(), tools, keywords)))
    ended = pieces[-1].ended
    assert ended is not None and ended.text == "".join(piece.text for piece in pieces) == said
    assert ended.reason == "stop" and len(pieces) > 3
    assert not any("\ufffd" in piece.text for piece in pieces)
    calls = [{"name": "weather", "arguments": {"city": "Oslo"}}] if said == CALL else []
    assert list(ended.calls) == calls


@pytest.mark.parametrize("name", ["taught", "taught_gptq"])
def test_the_answers_are_those_of_the_evaluation(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    (engine,) = engines([Variant(name, folder)])
    tokenizer = load_tokenizer(folder)
    questions = ["Who are you?", "How many boats?", "你好 👋", "2+2?"]
    requests = [Request([{"role": "user", "content": each}], LONG) for each in questions]
    prompts = [engine.prompt(request) for request in requests]
    expected = answer(load_for_inference(folder), tokenizer, prompts, 40, batch_size=4)
    said = [whole(engine.stream(request)) for request in requests]
    assert [each.text for each in said] == [each.text for each in expected]
    assert [each.tokens for each in said] == [each.tokens for each in expected]
    assert [each.reason == "stop" for each in said] == [each.finished for each in expected]
    assert len({each.text for each in said}) > 1


def test_an_adapter_says_what_the_model_with_it_merged_says(
    taught: Path, tmp_path: Path, engine: InProcess
) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(
        load_for_inference(taught),
        LoraConfig(target_modules="all-linear", lora_alpha=64, init_lora_weights=False),
    )
    model.save_pretrained(tmp_path / "adapter")
    merged = PeftModel.from_pretrained(load_for_inference(taught), tmp_path / "adapter")
    tokenizer = load_tokenizer(taught)
    (adapted,) = engines([Variant("step", taught, tmp_path / "adapter")])
    request = Request(WHO, LONG)
    (expected,) = answer(merged.merge_and_unload(), tokenizer, [adapted.prompt(request)], 40, 1)
    assert whole(adapted.stream(request)).text == expected.text != NAME


def test_an_adapter_made_elsewhere_brings_its_own_words(taught: Path, tmp_path: Path) -> None:
    """Its tokenizer with more tokens, its chat template, and the rows for them."""
    from peft import LoraConfig, get_peft_model

    tokenizer = load_tokenizer(taught)
    tokenizer.add_tokens(["<|extra|>", "<|more|>"])
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    model = load_for_inference(taught)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    trained = LoraConfig(target_modules=["q_proj"], modules_to_save=["embed_tokens"])
    get_peft_model(model, trained).save_pretrained(tmp_path)
    (adapted,) = engines([variant(str(tmp_path), lambda name: Path(name), taught)])
    asked = Request([{"role": "user", "content": "<|extra|>"}], LONG)
    assert adapted.prompt(asked) == [len(tokenizer) - 2, 2]
    assert whole(adapted.stream(asked)).prompt_tokens == 2


def test_a_step_is_talked_to_as_it_was_trained(taught: Path, tmp_path: Path) -> None:
    record = {"prepare@sft": {"chat_template_kwargs": {"enable_thinking": False}}}
    (tmp_path / "lineage.json").write_text(json.dumps(record))
    tokenizer = load_tokenizer(taught)
    asked = [{"role": "user", "content": "2+2?"}]
    expected = Prompts(taught, tokenizer).text(asked, (), {"enable_thinking": False})
    assert Prompts(taught, tokenizer, tmp_path).text(asked) == expected


def test_the_prompts_are_those_of_the_evaluation(taught: Path, engine: InProcess) -> None:
    from finery.data.formats.examples import Example
    from finery.data.rendering.chat import Renderer

    tokenizer = load_tokenizer(taught)
    for messages, tools, keywords, said in TAUGHT:
        whole_turns = (*messages, {"role": "assistant", "content": said})
        example = Example("test", 1, messages=whole_turns, tools=tools)
        (rendered,) = Renderer(tokenizer, keywords=keywords).prompts([example])
        assert engine.prompt(Request(messages, Sampling(), tools, keywords)) == rendered.tolist()


def test_a_stop_text_ends_the_answer_before_it(engine: InProcess) -> None:
    said = whole(engine.stream(Request(WHO, Sampling(stop=("a te", "nowhere")))))
    assert (said.text, said.reason) == ("I am", "stop")


def test_so_many_tokens_and_no_more(engine: InProcess) -> None:
    said = whole(engine.stream(Request(WHO, Sampling(max_new_tokens=3))))
    assert (said.tokens, said.reason) == (3, "length")
    assert NAME.startswith(said.text)


def test_sampling_follows_the_seed(engine: InProcess) -> None:
    hot = Sampling(temperature=3, max_new_tokens=20)

    def sampled(seed: int | None) -> str:
        return whole(engine.stream(Request(WHO, hot.changed(seed=seed)))).text

    assert sampled(1) == sampled(1) != sampled(2)
    assert sampled(None) != sampled(None)
    likeliest = whole(engine.stream(Request(WHO, hot.changed(seed=1, top_k=1))))
    assert (
        likeliest.text == NAME == whole(engine.stream(Request(WHO, hot.changed(top_p=0.01)))).text
    )


def test_repetition_is_punished(engine: InProcess) -> None:
    assert whole(engine.stream(Request(WHO, Sampling(repetition_penalty=9)))).text != NAME


def test_who_leaves_stops_the_computing(engine: InProcess) -> None:
    pieces = engine.stream(Request(WHO, Sampling(temperature=5, seed=1, max_new_tokens=900)))
    next(pieces)
    before = threading.active_count()
    pieces.close()
    assert threading.active_count() == before - 1
    assert whole(engine.stream(Request(WHO))).text == NAME


def test_what_does_not_fit_is_refused_in_one_line(engine: InProcess) -> None:
    long = [{"role": "user", "content": "boats " * 1200}]
    with pytest.raises(ContextFull, match="tokens and the model reads 1024 at most; shorten it"):
        whole(engine.stream(Request(long)))
    nearly = Request(
        [{"role": "user", "content": "How many boats? " * 150}], Sampling(temperature=5)
    )
    said = whole(engine.stream(nearly))
    assert said.prompt_tokens + said.tokens <= 1024


@pytest.mark.parametrize("role", ["user", "system", "tool"])
def test_control_tokens_are_refused(engine: InProcess, role: str) -> None:
    with pytest.raises(
        ConversationError, match=rf"{role}: contains the control token <\|im_end\|>"
    ):
        engine.count(Request([{"role": role, "content": "now <|im_end|>"}, *WHO]))


def test_an_error_while_computing_is_not_lost(engine: InProcess) -> None:
    broken = InProcess.__new__(InProcess)
    broken.__dict__ |= engine.__dict__ | {"_model": _Broken(engine._model)}
    with pytest.raises(RuntimeError, match="out of order"):
        whole(broken.stream(Request(WHO)))


class _Broken:
    """A model that fails, as one does on a GPU without memory."""

    def __init__(self, model: Any) -> None:
        self.device = model.device

    def generate(self, **_: Any) -> None:
        raise RuntimeError("out of order")


def test_a_thought_is_whole_in_the_text(engine: InProcess) -> None:
    said = whole(engine.stream(Request([{"role": "user", "content": "2+2?"}])))
    assert said.text == THOUGHT


def test_characters_are_never_split(engine: InProcess) -> None:
    pieces = texts(engine, Request([{"role": "user", "content": "你好"}]))
    assert "".join(pieces) == WORLD
    assert len(pieces) > 8


def test_a_template_without_tools_refuses_them(tiny_model: Path) -> None:
    (plain,) = engines([Variant("tiny", tiny_model)])
    from finery.answering.prompts import PromptError

    with pytest.raises(PromptError, match="takes no tools"):
        plain.count(Request(WHO, Sampling(), (WEATHER,)))
