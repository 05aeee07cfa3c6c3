"""Complete settings to begin with: the files of recipes/, each with what it is for in its head."""

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from finery.errors import UserError
from finery.moving.put import put
from finery.params.schema import Params, load

FOLDER = Path("recipes")
PARAMS = Path("params.yaml")
SCHEMA = "# yaml-language-server: $schema="
FACTS = ("For", "Hardware", "Time", "Data", "Command")


class RecipeError(UserError):
    """There is no such recipe, or its head does not say what it is for."""


@dataclass(frozen=True)
class Recipe:
    name: str
    path: Path
    facts: dict[str, str]
    """What its head says, by FACTS."""


@dataclass(frozen=True)
class Used:
    recipe: Recipe
    kept: Path | None
    """Where the params.yaml from before is; None if there was none, or the same."""
    missing: list[str]
    """Datasets that it names and dataset_info.json has not."""


def recipes(folder: Path = FOLDER) -> list[Recipe]:
    """All there are, by name. Raises `RecipeError` for one without a head."""
    found = [_recipe(path) for path in sorted(folder.glob("*.yaml"))]
    for each in found:
        for fact in FACTS:
            if fact not in each.facts:
                raise RecipeError(f"{each.path}: its head has no line # {fact}: ...; add it")
    return found


def use(name: str, params: Path = PARAMS, folder: Path = FOLDER) -> Used:
    """Put a recipe, by its name or its path, in the place of params.yaml, which is kept.

    Raises `RecipeError`, or `ParamsError` for one that is not valid.
    """
    recipe = _recipe(_path(name, folder))
    settings = load(recipe.path)
    lines = recipe.path.read_text("utf-8").splitlines(keepends=True)
    if lines[0].startswith(SCHEMA):
        lines[0] = f"{SCHEMA}params.schema.json\n"
    return Used(recipe, put("".join(lines), params), _missing(settings))


def _path(name: str, folder: Path) -> Path:
    for path in (folder / f"{name}.yaml", Path(name)):
        if path.is_file():
            return path
    known = [path.stem for path in sorted(folder.glob("*.yaml"))]
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none here'}"
    raise RecipeError(f"{name}: no such recipe in {folder}; {meant}")


def _recipe(path: Path) -> Recipe:
    head = path.read_text("utf-8").partition("\n\n")[0]
    facts = dict(re.findall(r"^# (\w+): (.+)$", head, re.MULTILINE))
    return Recipe(path.stem, path, facts)


def _missing(settings: Params) -> list[str]:
    entries = Path(settings.data.dataset_dir) / "dataset_info.json"
    try:
        info = json.loads(entries.read_text("utf-8"))
    except (OSError, ValueError):
        info = {}
    return [name for name in settings.datasets if name not in info]
