"""params.yaml as a whole: read it, say everything that is wrong with it, describe it to editors."""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from finery.errors import UserError
from finery.params.combinations import NOT_OFFERED
from finery.params.evaluate import BUILT_IN
from finery.params.place import Place
from finery.params.recipe import Recipe
from finery.params.release import ReleaseParams
from finery.params.report import ReportParams
from finery.params.resources import ResourcesParams

QUOTE = "'"
MOVED = {
    "data.train": "train.STEP.data",
    "data.eval_dataset": "train.STEP.data.eval_dataset",
    "data.interleave_probs": "train.STEP.data.interleave_probs",
}
"""Where settings of earlier versions are now."""
NEW = {
    "starts": "starts: {}",
    "quantize.formats": "formats: [gptq, awq]",
    "report": "report: {}",
}
"""Settings that earlier versions did not have, and what does as they did."""


class ParamsError(UserError):
    """params.yaml is wrong; `problems` has a line for each thing that is."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))
        self.problems = problems


class Params(Recipe):
    """Every setting: the recipe, one section a stage, and how it is run."""

    report: ReportParams
    release: ReleaseParams = ReleaseParams()
    resources: ResourcesParams = ResourcesParams()

    @property
    def asked_metrics(self) -> dict[str, str]:
        """Every DATASET.METRIC that is asked for, by the key that asks for it."""
        asked = {f"gate.rules.{i}.metric": rule.metric for i, rule in enumerate(self.gate.rules)}
        return asked | {f"release.metrics.{i}": name for i, name in enumerate(self.release.metrics)}

    @model_validator(mode="after")
    def _metrics_are_measured(self) -> "Params":
        if problems := list(self._metric_problems()):
            raise ValueError("\n".join(problems))
        return self

    def _metric_problems(self) -> Iterator[str]:
        each, known = self.evaluate.of_each_sample, self.evaluate.numbers
        for key, metric in self.asked_metrics.items():
            dataset, _, name = metric.rpartition(".")
            if (other := _unasked(name)) and name not in known:
                yield f"{key}: {name} is not measured; add {other} to evaluate.metrics"
            elif key.startswith("release.") and (not dataset or name not in each):
                yield (
                    f"{key}: {metric} does not fit: DATASET.METRIC, and METRIC is measured on each"
                    f" sample: {', '.join(each)}{_meant(name, each)}"
                )
            elif name not in known:
                meant = _meant(name, known)
                yield f"{key}: unknown metric {name}; one of {', '.join(known)}{meant}"
            elif dataset not in (*self.data.test, "all"):
                yield (
                    f"{key}: no test dataset {dataset}; data.test has {', '.join(self.data.test)},"
                    " and `all` is their mean"
                )


def load(path: Path) -> Params:
    """Read and validate params.yaml. Raises `ParamsError` with every problem found, a line each."""
    values = _read(path)
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        problems = list(_settings_of_no_step(path, values))
        found = [each for each in error.errors() if not problems or each["loc"][:1] != ("train",)]
        problems += [line for each in found for line in _describe(path, values, each)]
        raise ParamsError(list(dict.fromkeys(problems))) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of params.yaml, for completion and checks in an editor."""
    schema = Params.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ParamsError([f"{path}: no such file; run from the project's root"]) from None
    except UnicodeDecodeError as error:
        raise ParamsError([f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8"]) from None
    try:
        values = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ParamsError([f"{path}{line}: not YAML: {error.problem}"]) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ParamsError([f"{path}:{line}: not YAML: {error.reason}"]) from None
    if not isinstance(values, dict):
        raise ParamsError(
            [f"{path}: must be a mapping of sections: {', '.join(Params.model_fields)}"]
        )
    return values


def _describe(path: Path, values: Any, problem: Any) -> list[str]:
    """A line for each thing that one of pydantic's errors says: file, line, key, what is wrong."""
    place = Place.of(Params, problem["loc"])
    location = place.location
    if problem["type"].startswith("union_tag"):
        location = [*location, problem["ctx"]["discriminator"].strip(QUOTE)]
    if problem["type"] == "value_error":
        said = [_key(line) for line in str(problem["ctx"]["error"]).splitlines()]
        return [f"{_where(path, values, location + key)}: {message}" for key, message in said]
    if place.of_several:
        problem = problem | {"type": "union", "input": reduce(getitem, location, values)}
    return [f"{_where(path, values, location)}: {_message(place, problem)}"]


def _settings_of_no_step(path: Path, values: Any) -> Iterator[str]:
    """A line for all that stands in `train` as if there were no steps."""
    train = values.get("train")
    steps = train if isinstance(train, dict) else {}
    stray = [key for key, value in steps.items() if not isinstance(value, dict)]
    if stray:
        shown = ", ".join(stray[:3]) + (f" and {len(stray) - 3} more" if len(stray) > 3 else "")
        yield (
            f"{_where(path, values, ['train', stray[0]])}: settings belong to a step; put {shown}"
            " under its name, as in train.sft (docs/training.md)"
        )


def _message(place: Place, problem: Any) -> str:
    """What is wrong with the value at a place and what is allowed there."""
    found = _shown(problem["input"])
    match problem["type"]:
        case "string_pattern_mismatch" | "union":
            return f"{found} does not fit: {(place.description or '').rstrip('.')}"
        case "extra_forbidden":
            moved = MOVED.get(".".join(map(str, place.location)))
            return f"has moved to {moved}" if moved else f"unknown key{_suggestion(place)}"
        case "missing":
            line = NEW.get(".".join(map(str, place.location)))
            return f"missing; add `{line}`" if line else "missing; add it"
        case "model_type" | "model_attributes_type":
            return f"must be a mapping of {', '.join(place.keys)}, not {found}"
        case "union_tag_not_found":
            return "missing; add it"
        case "union_tag_invalid":
            return _unknown_choice(problem["ctx"])
        case "too_short":
            return f"must have at least {problem['ctx']['min_length']} entry, not {found}"
    return f"{problem['msg'].removeprefix('Input ').replace('should', 'must', 1)}, not {found}"


def _shown(value: Any) -> str:
    """A value in the words of YAML, cut to fit in a line."""
    text = json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
    return text if len(text) <= 80 else text[:77] + "..."


def _key(message: str) -> tuple[list[Any], str]:
    """The key that a validator's message begins with, if any, and the rest of it."""
    key, colon, rest = message.partition(": ")
    if not colon or not re.fullmatch(r"[\w.]+", key):
        return [], message
    return [int(part) if part.isdecimal() else part for part in key.split(".")], rest


def _where(path: Path, values: Any, location: list[Any]) -> str:
    key = ".".join(map(str, location))
    return f"{path}{_line(values, location)}" + (f": {key}" if key else "")


def _line(values: Any, location: list[Any]) -> str:
    line = None
    for part in location:
        try:
            line = values.lc.data[part][0] + 1
            values = values[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return f":{line}" if line else ""


def _unknown_choice(said: Any) -> str:
    """Of a key whose value decides which others there are."""
    known = [name.strip(QUOTE) for name in said["expected_tags"].split(", ")]
    near = difflib.get_close_matches(said["tag"], known, n=1)
    meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"there is no {said['tag']}; {meant}"


def _unasked(number: str) -> str | None:
    """The metric of Finery's that would give a number."""
    return next((name for name, numbers in BUILT_IN.items() if number in numbers), None)


def _meant(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _suggestion(place: Place) -> str:
    known = place.siblings
    if not known:
        return ""
    if why := NOT_OFFERED.get(place.location[-1]):
        return f"; it is not offered: {why}"
    near = difflib.get_close_matches(str(place.location[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
