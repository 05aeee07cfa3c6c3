"""Reward functions of the user's, FILE.py:NAME beside the datasets: looked at without running them.

prepare keeps a copy with the samples, so that training depends on what they say.
"""

import ast
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from finery.errors import UserError
from finery.user_functions import Function, Unfit, defined

GIVEN = ("prompt", "completion", "reference")
"""What a function may take, by these names."""
KEPT = "rewards"
"""The folder of the copies, with the prepared samples."""


class RewardFunctionError(UserError):
    """A reward function cannot be used."""


def function_problem(folder: Path, named: str) -> str | None:
    """Why a function in `folder`, named as FILE.py:NAME, cannot be used; None if it can."""
    file, _, name = named.partition(":")
    path = folder / file
    try:
        function = defined(path, name)
    except Unfit as error:
        return str(error)
    problem = _signature_problem(function)
    return problem and f"{path}:{function.lineno}: {name} {problem}"


def refuse_unfit(folder: Path, functions: Sequence[str], key: str) -> None:
    """Raises `RewardFunctionError` if one of the functions, named in `key`, cannot be used."""
    for named in functions:
        if problem := function_problem(folder, named):
            raise RewardFunctionError(f"{key}: {problem}")


def keep(folder: Path, functions: Sequence[str], data: Path) -> dict[str, str]:
    """Copy the files of the functions to the prepared samples; the SHA-256 of each, by its name."""
    files = sorted({named.partition(":")[0] for named in functions})
    for file in files:
        (data / KEPT / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / file, data / KEPT / file)
    return {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files}


def _signature_problem(function: Function) -> str | None:
    if isinstance(function, ast.AsyncFunctionDef):
        return "is asynchronous; write it with def alone"
    given, known = function.args, ", ".join(GIVEN)
    plain = given.args[: len(given.args) - len(given.defaults)]
    named = [a for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d is None]
    unknown = [a.arg for a in (*plain, *named) if a.arg not in GIVEN]
    unknown += [a.arg for a in given.posonlyargs]
    if unknown:
        return f"asks for {', '.join(unknown)}; there are {known}, of one answer, by these names"
    takes = {a.arg for a in (*given.args, *given.kwonlyargs)} & set(GIVEN)
    return None if takes or given.kwarg else f"takes none of {known}"
