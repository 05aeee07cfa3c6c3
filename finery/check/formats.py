"""Whether the formats that are wanted can be made of a model."""

from collections.abc import Iterator

from finery.check.facts import Model
from finery.check.group_size import group_size_problem
from finery.models.gguf.convert import unknown_architecture
from finery.models.gguf.errors import GgufError
from finery.models.gguf.library import TYPES, find_library
from finery.models.group_size import unmatched
from finery.models.layer_widths import layer_widths
from finery.params.quantize import QuantizeParams


def format_problems(params: QuantizeParams, model: Model) -> Iterator[str]:
    """A line for each format that cannot be; each begins with its key."""
    for name in params.formats:
        if name == "gguf":
            yield from _gguf_problems(params, model)
            continue
        chosen = getattr(params, name)
        if problem := group_size_problem(model, chosen):
            yield f"quantize.{name}.group_size: {problem}"
        if model.is_one and (problem := unmatched(chosen, layer_widths(model.language))):
            yield f"quantize.{name}.{problem}"


def _gguf_problems(params: QuantizeParams, model: Model) -> Iterator[str]:
    try:
        if problem := unknown_architecture(model.config):
            yield f"quantize.formats: {problem}"
    except GgufError as error:
        yield f"quantize.formats: {error}, or leave it out"
    try:
        if params.gguf.type in TYPES:
            find_library(params.gguf.type)
    except GgufError as error:
        yield f"quantize.gguf.type: {error}"
