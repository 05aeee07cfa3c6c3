"""Functions of the user's in files of Python: looked at without running them, and called.

What goes wrong in one is said in a line, with the line of the user's file.
"""

import ast
import difflib
import json
import math
import traceback
from collections.abc import Callable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from numbers import Real
from pathlib import Path
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Unfit(Exception):
    """A function is not there, or cannot be used; the message says why."""


class Failed(Exception):
    """A function raised something, or gave what it should not; the message says what."""


def defined(path: Path, name: str) -> Function:
    """Where a file defines a function. Raises `Unfit`; nothing of the file is run."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError:
        raise Unfit(f"no such file {path}") from None
    except UnicodeDecodeError as error:
        raise Unfit(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise Unfit(f"{path}{line}: not Python: {getattr(error, 'msg', error)}") from None
    functions = {node.name: node for node in tree.body if isinstance(node, Function)}
    if name not in functions:
        raise Unfit(f"{path} defines no function {name}{_instead(name, list(functions))}")
    return functions[name]


def loaded(file: Path, name: str) -> Callable[..., Any]:
    """The function itself; the file is run. Raises `Failed`."""

    def load() -> Callable[..., Any]:
        spec = spec_from_file_location(f"finery_user_{file.stem}", file)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, name)

    return guarded(file, load)


def guarded(file: Path, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What a call of a function in a file gives. Raises `Failed` with what that raised."""
    try:
        return call(*given, **named)
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [each.lineno for each in frames if each.filename == str(file)]
        at = f", line {lines[-1]}" if lines else ""
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise Failed(f"{at}: {said}") from error


def number(value: Any) -> float:
    """What a function gave, as a number. Raises `Failed` if it is none, or not finite."""
    if not isinstance(value, Real):
        raise Failed(f": gave {short(value)} ({type(value).__name__})")
    if not math.isfinite(value):
        raise Failed(f": gave {float(value)}")
    return float(value)


def short(value: Any) -> str:
    """A value in a line."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."


def _instead(name: str, functions: Sequence[str]) -> str:
    if near := difflib.get_close_matches(name, functions, n=1):
        return f"; did you mean {near[0]}?"
    return f"; it has {', '.join(functions)}" if functions else ""
