"""Calls of tools are compared by name and arguments, as each chat template writes them."""

import json
from collections.abc import Sequence
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from finery.evaluation.calls import call_match, matched_calls
from finery.inference.answers import Answer
from finery.inference.call_syntax import call_reader
from finery.inference.loading import load_for_inference
from finery.models.tokenizer import load_tokenizer

ROOT = Path(__file__).resolve().parents[3]
# Real templates, as TRL has them: JSON, a name before JSON, tags, Python, and what is not read.
ONE_AT_A_TIME = ["llama3_1"]
WHOLE = ["chatml_tools", "qwen2_5", "qwen3"]
READ = [*WHOLE, *ONE_AT_A_TIME, "deepseekv3", "glm4moe", "qwen3_5_nothink", "lfm2_v2"]
UNREAD = ["gemma4"]
CALL = {
    "name": "weather",
    "arguments": {"city": 'Oslo, "old" town', "days": 3, "at": {"a": [1, True, None]}},
}
OTHER = {"name": "weather", "arguments": {"city": "Rome"}}


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


@pytest.fixture
def template(tokenizer: Any, request: pytest.FixtureRequest) -> Any:
    """The tokenizer with the chat template of that name."""
    name, before = request.param, tokenizer.chat_template
    ours = ROOT / "templates" / f"{name}.jinja"
    file = ours if ours.exists() else files("trl") / "chat_templates" / f"{name}.jinja"
    tokenizer.chat_template = file.read_text()
    yield tokenizer
    tokenizer.chat_template = before


def turn(tokenizer: Any, *calls: dict[str, Any]) -> str:
    """What the template writes for the calls, without the end of the turn."""
    try:
        text = rendered(tokenizer, calls)
    except TypeError:  # DeepSeek's takes arguments that are JSON already
        text = rendered(tokenizer, [c | {"arguments": json.dumps(c["arguments"])} for c in calls])
    prompt = rendered(tokenizer)
    same = next(i for i, (a, b) in enumerate(zip(text, prompt + "\0", strict=False)) if a != b)
    for ending in ("<|im_end|>", "<|eot_id|>", "<｜end▁of▁sentence｜>"):
        text = text.strip().removesuffix(ending)
    return text[same:].strip()


def rendered(tokenizer: Any, calls: Sequence[dict[str, Any]] = ()) -> str:
    made = [{"type": "function", "function": call} for call in calls]
    said = [{"role": "assistant", "content": "", "tool_calls": made}] if made else []
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": "?"}, *said], tokenize=False, add_generation_prompt=not made
    )


def edited(**arguments: Any) -> dict[str, Any]:
    return CALL | {"arguments": deepcopy(CALL["arguments"]) | arguments}


def scores(tokenizer: Any, answers: list[str], *calls: dict[str, Any]) -> list[float]:
    reader = call_reader(tokenizer)
    return [call_match(a, turn(tokenizer, *calls), calls, reader) for a in answers]


@pytest.mark.parametrize("template", [*READ, *UNREAD], indirect=True)
def test_the_right_call_is_right_and_every_other_is_wrong(template: Any):
    fewer = {"name": "weather", "arguments": {"city": CALL["arguments"]["city"]}}
    wrong = [edited(days=4), edited(city="Bergen"), edited(more="1"), fewer, edited(days=None),
             edited(**{"at": {"a": [1, False, None]}}), CALL | {"name": "wether"}]  # fmt: skip
    answers = [turn(template, CALL), *(turn(template, each) for each in wrong)]
    answers += ["", "It is cold in Oslo.", json.dumps("weather")]
    assert scores(template, answers, CALL) == [1] + [0] * (len(answers) - 1)


@pytest.mark.parametrize("template", READ, indirect=True)
def test_what_does_not_matter(template: Any):
    turned = CALL | {"arguments": dict(reversed(CALL["arguments"].items()))}
    right = turn(template, turned)
    answers = [right, f"I shall look.\n{right}", right.replace('": ', '":')]
    assert scores(template, answers, CALL) == [1, 1, 1]


@pytest.mark.parametrize("template", [n for n in READ if n not in ONE_AT_A_TIME], indirect=True)
def test_all_of_several_calls_must_be_made_and_no_more(template: Any):
    both, turned = turn(template, CALL, OTHER), turn(template, OTHER, CALL)
    answers = [both, turned, turn(template, CALL), turn(template, CALL, OTHER, OTHER)]
    assert scores(template, answers, CALL, OTHER) == [1, 1, 0, 0]
    assert scores(template, [both, turn(template, CALL)], CALL) == [0, 1]


@pytest.mark.parametrize("template", [*READ, *UNREAD], indirect=True)
def test_a_call_without_arguments(template: Any):
    now = {"name": "now", "arguments": {}}
    answers = [turn(template, now), "", turn(template, now | {"name": "then"})]
    assert scores(template, answers, now) == [1, 0, 0]


@pytest.mark.parametrize("template", WHOLE, indirect=True)
def test_arguments_are_equal_as_json_values(template: Any):
    right = turn(template, CALL)
    given = edited(days=3.0)
    as_text, as_flag = edited(days="3"), {"name": "f", "arguments": {"x": True}}
    assert scores(template, [turn(template, given), turn(template, as_text)], CALL) == [1, 0]
    one = turn(template, {"name": "f", "arguments": {"x": 1}})
    assert scores(template, [one, turn(template, as_flag)], as_flag) == [0, 1]
    broken = [right.replace('"arguments"', '"args"'), right.replace("<tool_call>", ""), right[:-20]]
    assert scores(template, broken, CALL) == [0, 0, 0]


@pytest.mark.parametrize("template", ["chatml_tools"], indirect=True)
def test_the_reference_is_read_from_its_tokens(template: Any, tiny_model: Path):
    model = load_for_inference(tiny_model)
    text = turn(template, CALL)
    ids = template(f"Weather?{text}<|im_end|>")["input_ids"]
    asked = len(template("Weather?")["input_ids"])
    called = {
        "calls": True,
        "reference": json.dumps([CALL]),
        "input_ids": ids,
        "labels": [-100] * asked + ids[asked:],
    }
    said = {"calls": None, "reference": text, "input_ids": ids, "labels": ids}
    wrong = turn(template, OTHER)
    thought = f"<think>{text}</think>\n"
    written = [text, wrong, f"{thought}No.", f"{thought}{text}", text]
    answers = [Answer("", 9, True, each) for each in written]
    tests = [called] * 4 + [said]
    assert matched_calls(model, template, tests, answers) == [1, 0, 0, 1, None]


def test_a_template_without_calls_has_no_reader(tokenizer: Any):
    assert call_reader(tokenizer) is None


@pytest.mark.parametrize("template", ["chatml_tools", "lfm2_v2"], indirect=True)
@pytest.mark.parametrize("piece", ["[", '{"a":', "f(x) ", "[f(", "f(1, "])
def test_an_answer_that_goes_astray_is_read_as_quickly_as_any(template: Any, piece: str):
    right = turn(template, CALL)
    start = process_time()
    assert scores(template, [f"{right[:25]}{piece * 4000}"], CALL) == [0]
    assert process_time() - start < 20
