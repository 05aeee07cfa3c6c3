"""Everything that can be known to be wrong before any time is spent."""

from pathlib import Path
from typing import get_args

from finery import lineage
from finery.models.layer_widths import undivided
from finery.params.quantize import GroupSize
from finery.params.schema import Params, ParamsError, load

BASE = Path("models/base")


def check(path: Path) -> Params:
    """Validate params.yaml by itself and against the files around it.

    Raises `ParamsError` with every problem found, a line each.
    """
    params = load(path)
    problems = [*_template(path, params), *_group_sizes(path, params)]
    if problems:
        raise ParamsError(problems)
    return params


def _template(path: Path, params: Params) -> list[str]:
    template = params.model.chat_template
    if template is None or Path(template).is_file():
        return []
    return [f"{path}: model.chat_template: no such file {template}"]


def _group_sizes(path: Path, params: Params) -> list[str]:
    """A group that does not divide a layer's width quantizes in silence and crashes when served."""
    base = model_folder(params)
    if base is None:
        return []
    problems = []
    for name in ("gptq", "awq"):
        size = getattr(params.quantize, name).group_size
        if widths := undivided(base, size):
            fitting = [fit for fit in get_args(GroupSize)[::-1] if not undivided(base, fit)]
            advice = f"use {' or '.join(map(str, fitting))}" if fitting else "no group size does"
            problems.append(
                f"{path}: quantize.{name}.group_size: {size} does not divide the layer widths"
                f" {', '.join(map(str, widths))} of {base}; {advice}"
            )
    return problems


def model_folder(params: Params) -> Path | None:
    """The folder of the model that params.yaml names; None while models/base is still another."""
    if params.model.scheme == "path":
        return Path(params.model.source.removeprefix("path:"))
    try:
        downloaded = lineage.read(BASE).get("download", {}).get("source", params.model.source)
    except ValueError:  # damaged: download makes it anew
        return None
    same = downloaded.partition("@")[0] == params.model.source.partition("@")[0]
    return BASE if same else None
