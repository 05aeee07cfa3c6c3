"""Whether a model calls the tools that it should."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from finery.evaluation.wording import spoken
from finery.inference.answers import Answer, decoded, stop_tokens
from finery.inference.call_json import Call, Reader, values
from finery.inference.call_syntax import call_reader


def matched_calls(
    model: Any, tokenizer: Any, tests: Sequence[dict[str, Any]], answers: Sequence[Answer]
) -> list[float | None]:
    """The `call_match` of each answer; None where the reference calls no tool.

    A test whose reference does has `calls`, and as `reference` the JSON of a list of its calls.
    """
    calling = any(test.get("calls") for test in tests)
    reader = call_reader(tokenizer) if calling else None

    def matched() -> Iterator[float | None]:
        for test, answer in zip(tests, answers, strict=True):
            if not test.get("calls"):
                yield None
                continue
            written = decoded(tokenizer, _last_turn(test), stop_tokens(model)).written
            said = spoken(answer.written), spoken(written)
            yield call_match(*said, json.loads(test["reference"]), reader)

    return list(matched())


def call_match(
    answer: str, written: str, reference: Sequence[Call], reader: Reader | None
) -> float:
    """1.0 if an answer calls what the reference does, by name and arguments, else 0.0.

    `written` is the reference as the chat template writes it: both are read in the same way.
    Arguments are equal as JSON values are, several calls in any order, and what is said beside
    them does not matter. If the template's way to write calls is not understood, all of what is
    written is compared, but for white space and the order of keys.
    """
    expected = reader(written) if reader else []
    if reader and _outline(expected) == _outline(reference):
        return float(_canonical(reader(answer)) == _canonical(expected))
    return float(_squeezed(answer) == _squeezed(written))


def _last_turn(test: dict[str, Any]) -> list[int]:
    """The tokens that the model should write: the last ones in a row that count."""
    labels: list[int] = test["labels"]
    end = next((i for i in range(len(labels), 0, -1) if labels[i - 1] != -100), 0)
    start = next((i for i in range(end, 0, -1) if labels[i - 1] == -100), 0)
    return labels[start:end]


def _outline(calls: Sequence[Call]) -> list[tuple[str, list[str]]]:
    return sorted((call["name"], sorted(call["arguments"])) for call in calls)


def _canonical(calls: Sequence[Call]) -> list[str]:
    return sorted(_text(call) for call in calls)


def _text(value: Any) -> str:
    return json.dumps(_numbered(value), sort_keys=True)


def _numbered(value: Any) -> Any:
    """JSON has one kind of numbers: 1.0 is 1."""
    if isinstance(value, dict):
        return {key: _numbered(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbered(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _squeezed(text: str) -> str:
    """All of a text but white space, with its JSON in one form."""
    parts, done = [], 0
    for start, end, value in values(text):
        parts += [*text[done:start].split(), _text(value)]
        done = end
    return "".join([*parts, *text[done:].split()])
