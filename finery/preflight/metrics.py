"""Are the user's metrics there, and do they take a sample?"""

import ast
from collections.abc import Iterator
from pathlib import Path

from finery.json_schemas import SchemaFileError, validator
from finery.params.evaluate import BUILT_IN
from finery.params.schema import Params
from finery.user_functions import Function, Unfit, defined


def unfit_metrics(params: Params) -> Iterator[str]:
    """A line for each metric that the evaluation could not take; no function is run."""
    for number, (name, taken) in enumerate(params.evaluate.named):
        if problem := _problem(name, taken):
            yield f"evaluate.metrics.{number}: {problem}"


def _problem(name: str, taken: str | None) -> str | None:
    if name == "json_schema":
        try:
            validator(Path(taken or ""))
        except SchemaFileError as error:
            return str(error)
    if name in BUILT_IN:
        return None
    path, _, function = name.partition(":")
    try:
        found = defined(Path(path), function)
    except Unfit as error:
        return str(error)
    problem = _signature_problem(found)
    return problem and f"{path}:{found.lineno}: {function} {problem}"


def _signature_problem(function: Function) -> str | None:
    if isinstance(function, ast.AsyncFunctionDef):
        return "is asynchronous; write it with def alone"
    given = function.args
    places = [*given.posonlyargs, *given.args]
    due = [a.arg for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d is None]
    if due or len(places) - len(given.defaults) > 1:
        return "asks for more than a sample; a metric takes one argument"
    return None if places or given.vararg else "takes nothing; a metric takes a sample"
