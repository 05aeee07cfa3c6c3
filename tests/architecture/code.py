"""The code of a stage: its module and all that this imports, at once or by choice.

A step of the training chooses some of its code by its settings, with import_module: of the modules
of such a package, only the one chosen is its own.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
HARNESS = "finery.stage.run"


def modules_of(package: str) -> list[str]:
    """The last names of the modules in a package."""
    return sorted(file.stem for file in ROOT.joinpath(*package.split(".")).glob("[a-z]*.py"))


CHOICES = {name: modules_of(f"finery.params.{name}") for name in ("methods", "tuners")}
"""Packages of these names have a module for each value of a setting: these."""
Chosen = dict[str, str | None]
"""A value, or none, for some of the choices; what is not among them is imported whole."""


def closure(imports: grimp.ImportGraph, modules: Iterable[str], chosen: Chosen) -> set[Path]:
    """The files of modules and of all that they import, directly or not, but for the harness.

    The harness (params in, outputs into place) cannot change an artefact's bytes.
    """
    found: set[str] = set()
    new = set(modules)
    while new:
        found |= new
        new = {each for module in new for each in _imported(imports, module, chosen)} - found
    return {file_of(module) for module in found}


def shared(imports: grimp.ImportGraph) -> set[Path]:
    """What several methods or several tuners import: each step lists it, whatever it chooses."""
    users: Counter[Path] = Counter()
    for choice, values in CHOICES.items():
        for value in values:
            chosen = dict.fromkeys(CHOICES) | {choice: value}
            users.update(closure(imports, [f"finery.training.{choice}.{value}"], chosen))
    return {file for file, count in users.items() if count > 1}


def file_of(module: str) -> Path:
    path = Path(*module.split("."))
    return path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")


def _imported(imports: grimp.ImportGraph, module: str, chosen: Chosen) -> Iterator[str]:
    for each in imports.find_modules_directly_imported_by(module) - {HARNESS}:
        package, _, value = each.rpartition(".")
        if chosen.get(_choice(package), value) == value:
            yield each
    for package in packages_chosen_from(module):
        if value := chosen.get(_choice(package)):
            yield f"{package}.{value}"


def _choice(package: str) -> str:
    return package.rpartition(".")[2]


@cache
def packages_chosen_from(module: str) -> set[str]:
    """The packages that a module imports from by choice.

    Raises `ValueError` if a call does not say which, or if nobody knows that there is a choice.
    """
    text, packages = (ROOT / file_of(module)).read_text(encoding="utf-8"), set()
    for node in ast.walk(ast.parse(text)) if "import_module" in text else ():
        if not isinstance(node, ast.Call) or "import_module" not in ast.unparse(node.func):
            continue
        match node.args:
            case [ast.JoinedStr(values=[ast.Constant(value=str(start)), ast.FormattedValue()])]:
                packages.add(start.removesuffix("."))
            case _:
                raise ValueError(f'{module}: write import_module(f"PACKAGE.{{value}}")')
    if unknown := [package for package in packages if _choice(package) not in CHOICES]:
        raise ValueError(f"{module}: {', '.join(unknown)}: what chooses? add it to CHOICES")
    return packages
