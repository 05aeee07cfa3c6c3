"""`evaluate`: how the test questions are answered, and what the answers are measured by."""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from finery.params.section import Section

BUILT_IN = {
    "exact_match": ("exact_match",),
    "call_match": ("call_match",),
    "keyword_match": ("keyword_match",),
    "rouge": ("rouge1", "rouge2", "rougeL"),
    "bleu": ("bleu",),
    "chrf": ("chrf",),
    "f1": ("precision", "recall", "f1"),
    "regex": ("regex",),
    "json_valid": ("json_valid",),
    "json_schema": ("json_schema",),
    "length": ("length",),
    "stop_rate": ("stop_rate",),
}
"""Each metric of finery/evaluation/metrics, and the numbers that it gives; docs/evaluation.md says
what they mean."""
TAKING = {"regex": "a pattern", "json_schema": "a file in metrics/"}
ALWAYS = ("loss", "perplexity", "unfinished")
"""Numbers that there are whatever is asked for."""
OF_A_DATASET = ("perplexity", "bleu", "chrf", "precision", "recall", "f1")
"""Numbers of Finery's whose value for a dataset is not the mean of its samples."""
TAKEN = (
    "samples", "dataset", "question", "reference", "answer", "keywords", "reference_tokens",
    "answer_tokens", "finished", *ALWAYS,
)  # fmt: skip
"""What a line of samples.jsonl or metrics.json has beside: no function may be called so."""
FUNCTIONS = "metrics"
"""The folder of the user's functions and schemas: the evaluation depends on all of it."""
FUNCTION = re.compile(rf"{FUNCTIONS}/(?:[\w-]+/)*[\w-]+\.py:[^\W\d]\w*")


def _name_or_mapping(value: Any) -> Any:
    pair = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    if not pair and not isinstance(value, str):
        shown = json.dumps(value, ensure_ascii=False, default=str)
        raise ValueError(
            f"must be the name of a metric, or one with the text that it takes, {{regex: PATTERN}},"
            f" not {shown}"
        )
    return value


Metric = Annotated[str | dict[str, str], BeforeValidator(_name_or_mapping)]


class EvaluateParams(Section):
    metrics: list[Metric] = [
        "exact_match", "call_match", "keyword_match", "rouge", "bleu",
    ]  # fmt: skip
    """Metrics by their names (docs/evaluation.md), {regex: PATTERN}, {json_schema:
    metrics/FILE.json}, and functions of your own, metrics/FILE.py:NAME."""
    max_new_tokens: Annotated[int, Field(ge=1, le=32768)] = 128
    """Longest answer, in tokens; a longer one is cut and counted as unfinished."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Questions answered at once; halved by itself when memory runs out."""

    temperature: Annotated[float, Field(ge=0, le=5)] = 0.0
    """0: the likeliest token, always; else a token is drawn, the less likely the higher it is."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Draw from the likeliest tokens that together are as probable as this."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Draw from as many of the likeliest tokens; 0: from all."""
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    """Above 1, what was said before is less likely; null: what the model's own settings say."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    """Of what is drawn, with the question: another batch_size changes no answer."""
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=16)] = []
    """Texts that end an answer, which does not have them."""

    @property
    def named(self) -> list[tuple[str, str | None]]:
        """The metrics: name or function, and what it takes, if anything."""
        each = (entry if isinstance(entry, dict) else {entry: None} for entry in self.metrics)
        return [pair for entry in each for pair in entry.items()]

    @property
    def functions(self) -> list[str]:
        """The user's own, metrics/FILE.py:NAME."""
        return [name for name, _ in self.named if name not in BUILT_IN]

    @property
    def given(self) -> dict[str, str]:
        """Each number that is asked for, by the metric that gives it."""
        return {number: name for name, _ in self.named for number in numbers_of(name)}

    @property
    def numbers(self) -> list[str]:
        """All that metrics.json can have."""
        return [*ALWAYS, *self.given]

    @property
    def of_each_sample(self) -> list[str]:
        """Those of which a dataset's is the mean over its samples: models are compared on them."""
        own = {number for number, name in self.given.items() if name not in BUILT_IN}
        return [number for number in self.numbers if number in own or number not in OF_A_DATASET]

    @model_validator(mode="after")
    def _metrics_are_known(self) -> "EvaluateParams":
        if problems := list(self._problems()):
            raise ValueError("\n".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        for key in ("top_p", "top_k"):
            if not self.temperature and getattr(self, key) != type(self).model_fields[key].default:
                yield f"{key}: nothing is drawn at temperature 0; set temperature, or take this out"
        given: dict[str, str] = {}
        for index, entry in enumerate(self.metrics):
            key = f"metrics.{index}"
            if isinstance(entry, dict) and len(entry) != 1:
                yield f"{key}: has {len(entry)} keys; write one metric an entry"
                continue
            ((name, taken),) = entry.items() if isinstance(entry, dict) else ((entry, None),)
            if problem := _problem(name, taken):
                yield f"{key}: {problem}"
                continue
            for number in numbers_of(name):
                if number in given:
                    other = given[number]
                    twice = "is there twice" if other == name else f"and {other} both give {number}"
                    yield f"{key}: {name} {twice}; keep one, or rename the function"
                    break
                given[number] = name


def numbers_of(name: str) -> tuple[str, ...]:
    """What a metric is called in metrics.json; a function by its own name."""
    return BUILT_IN.get(name) or (name.rpartition(":")[2],)


def _problem(name: str, taken: str | None) -> str | None:
    if name in TAKING:
        if taken is None:
            return f"{name} takes {TAKING[name]}; write {{{name}: ...}}"
        return _pattern_problem(taken) if name == "regex" else _schema_problem(taken)
    if taken is not None:
        return f"{name} takes nothing; write its name alone"
    if name in BUILT_IN:
        return None
    if ":" in name or name.endswith(".py"):
        return _function_problem(name)
    return _unknown(name)


def _unknown(name: str) -> str:
    if of := next((metric for metric, numbers in BUILT_IN.items() if name in numbers), None):
        return f"{name} is a number that {of} gives; write {of}"
    if name in ALWAYS:
        return f"{name} is always measured; leave it out"
    near = difflib.get_close_matches(name.lower(), BUILT_IN, n=1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(BUILT_IN)}."
    return f"no metric {name!r}; {meant} A function of your own is {FUNCTIONS}/FILE.py:NAME"


def _function_problem(name: str) -> str | None:
    if not FUNCTION.fullmatch(name):
        return (
            f"{name} must be FILE.py:NAME in the folder {FUNCTIONS}, such as {FUNCTIONS}/mine.py:f1"
        )
    if (function := name.rpartition(":")[2]) in TAKEN:
        return f"{name}: {function} has a meaning of its own in the reports; rename the function"
    return None


def _pattern_problem(pattern: str) -> str | None:
    import regex

    try:
        regex.compile(pattern)
    except regex.error as error:
        return f"regex {pattern!r}: {error}; correct the pattern"
    return None


def _schema_problem(file: str) -> str | None:
    inside = file.startswith(f"{FUNCTIONS}/") and ".." not in file.split("/")
    return None if inside else f"json_schema {file} must be in the folder {FUNCTIONS}"
