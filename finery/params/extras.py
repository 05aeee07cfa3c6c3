"""Packages that only some settings need: which, and how they are installed."""

from collections.abc import Iterator
from importlib.util import find_spec

from finery.errors import UserError
from finery.params.optimizers import PACKAGES, package
from finery.params.step import StepParams

EXTRAS = dict.fromkeys(PACKAGES, "optimizers")
"""The extra of pyproject.toml that brings a module."""


class MissingPackage(UserError):
    """A setting needs a package that is not installed."""


def refuse_missing(params: StepParams) -> None:
    """Raises `MissingPackage` for a setting whose package is not there; nothing is imported."""
    for problem in missing(params):
        raise MissingPackage(f"{params.key}.{problem}")


def missing(params: StepParams) -> Iterator[str]:
    """A line for each setting of a step that needs a package that is not installed."""
    for key, value, module in needed(params):
        if find_spec(module) is None:
            how = f"pip install 'finery[{EXTRAS[module]}]' -c constraints.txt"
            yield f"{key}: {value} needs the package {module}; {how}"


def needed(params: StepParams) -> Iterator[tuple[str, str, str]]:
    """Settings that need a package: the key, its value and the module to import."""
    if module := package(params.optim):
        yield "optim", params.optim, module
