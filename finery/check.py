"""Everything that can be known to be wrong before any time is spent."""

from pathlib import Path

from finery.layer_widths import undivided
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
    source = params.model.source.removeprefix("path:")
    base = Path(source) if params.model.scheme == "path" else BASE
    problems = []
    for name in ("gptq", "awq"):
        size = getattr(params.quantize, name).group_size
        if widths := undivided(base, size):
            fitting = [s for s in (128, 64, 32) if not undivided(base, s)]
            advice = f"use {' or '.join(map(str, fitting))}" if fitting else "no group size does"
            problems.append(
                f"{path}: quantize.{name}.group_size: {size} does not divide the layer widths"
                f" {', '.join(map(str, widths))} of {base}; {advice}"
            )
    return problems
