"""Whether what a tuner's settings name is there in the model, and its numbers fit its layers."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from finery.check.facts import Model
from finery.check.target_modules import layers_of, matches, shares_a_table, target_problems
from finery.models.layer_widths import linears
from finery.models.tensors import IN_A_BLOCK

Tuner = Any
"""Settings of any type of tuner: what one has not is not looked at."""


def tuner_problems(model: Model, tuner: Tuner, added: int = 0) -> list[str]:
    """A line for each setting that does not fit the model, behind its key.

    `added`: how many blocks earlier steps have put in.
    """
    if not model.tensors:
        return []
    return [
        f"{key}: {problem}"
        for key, problem in [
            *_targets(model, tuner),
            *_patterns(model, tuner),
            *_modules(model, tuner),
            *_numbers_of_blocks(model, tuner, added),
            *_sizes(model, tuner),
        ]
    ]


def _targets(model: Model, tuner: Tuner) -> Iterator[tuple[str, str]]:
    norms = tuner.type == "ln_tuning"
    for key in ("target_modules", "feedforward_modules"):
        names = getattr(tuner, key, [])
        for problem in _named(model, names) if norms else target_problems(model, names):
            yield key, problem
    for name in getattr(tuner, "target_parameters", ()):
        experts = any(".experts." in tensor for tensor in model.tensors)
        if not experts and not any(matches(tensor, name) for tensor in model.tensors):
            yield "target_parameters", _unknown(model, name, _parts(model), "parameter")


def _patterns(model: Model, tuner: Tuner) -> Iterator[tuple[str, str]]:
    """Names of layers that say something else of some, where PEFT passes over what is none."""
    layers = layers_of(model)
    for key in ("exclude_modules", "rank_pattern", "alpha_pattern"):
        for name in getattr(tuner, key, ()):
            if not any(matches(layer, name) for layer in layers):
                yield key, _unknown(model, name, layers, "layer")


def _modules(model: Model, tuner: Tuner) -> Iterator[tuple[str, str]]:
    for name in getattr(tuner, "modules_to_save", ()):
        if shares_a_table(model, name) and tuner.type != "lora":
            why = f"shares one table with the other end of {model.folder} (tied embeddings), which"
            yield "modules_to_save", f"{name} {why} only lora keeps as one; leave it out"
        else:
            yield from (("modules_to_save", problem) for problem in _named(model, [name]))
    outside = {name for name in _parts(model) if not IN_A_BLOCK.search(f"{name}.")}
    inside = _parts(model) - outside
    for key, parts in (("trainable_modules", inside), ("extra_modules", outside)):
        names = getattr(tuner, key, ())
        for name in () if names == "all" else names:
            if not any(matches(part, name) for part in parts):
                where = "module in the blocks" if parts is inside else "module outside the blocks"
                yield key, _unknown(model, name, parts, where)


def _named(model: Model, names: list[str]) -> Iterator[str]:
    """A line for each name that is of no part of the model with weights."""
    parts = _parts(model)
    for name in names:
        if not any(matches(part, name) for part in parts):
            yield _unknown(model, name, parts, "module")


def _numbers_of_blocks(model: Model, tuner: Tuner, added: int) -> Iterator[tuple[str, str]]:
    had = _blocks(model)
    if not had:
        return
    count, have = had + added, f"{model.folder} has {had} blocks"
    have += f" and {added} that were put in" if added else ""
    for number in getattr(tuner, "layers_to_transform", None) or ():
        if number >= count:
            yield "layers_to_transform", f"{number}: {have}, from 0 to {count - 1}"
    if abs(number := getattr(tuner, "trainable_layers", 0)) > count:
        yield "trainable_layers", f"{number}: {have}"
    if (number := getattr(tuner, "blocks", 0)) > count:
        yield "blocks", f"{number}: {have}; put in no more than that"


def _sizes(model: Model, tuner: Tuner) -> Iterator[tuple[str, str]]:
    """Numbers that must fit the widths of the layers."""
    shapes = [
        shape
        for layer, shape in linears(model.tensors).items()
        if getattr(tuner, "target_modules", None) == "all-linear"
        or any(matches(layer, name) for name in getattr(tuner, "target_modules", ()))
    ]
    widths, every = {width for _, width in shapes}, {size for shape in shapes for size in shape}
    match tuner.type:
        case "oft":
            yield from _divides("block_size", tuner.block_size, widths)
        case "boft":
            size = tuner.block_size * 2 ** (tuner.butterfly_factors - 1)
            yield from _divides("block_size", size, widths)
        case "miss" if tuner.init == "bat":
            yield from _divides("rank", tuner.rank, every)
        case "miss" if tuner.rank > min(widths, default=tuner.rank):
            yield "rank", f"{tuner.rank} is beyond the width of a layer, {min(widths)}"
        case "fourierft" if shapes:
            if tuner.n_frequency > (most := min(a * b for a, b in shapes)):
                yield "n_frequency", f"{tuner.n_frequency} is beyond the {most} of a layer"


def _divides(key: str, size: int, widths: set[int]) -> Iterator[tuple[str, str]]:
    if unfit := sorted(width for width in widths if width % size):
        fitting = [s for s in (128, 64, 32, 16, 8, 4, 2) if not any(w % s for w in widths)]
        advice = f"use {' or '.join(map(str, fitting[:3]))}" if fitting else "take another tuner"
        yield key, f"{size} does not divide the layer widths {', '.join(map(str, unfit))}; {advice}"


def _blocks(model: Model) -> int:
    text = model.text
    return next((text[k] for k in ("num_hidden_layers", "n_layer", "n_layers") if k in text), 0)


def _parts(model: Model) -> set[str]:
    """The names of all modules that have weights, and of those that these are in."""
    found = {"lm_head"}
    for tensor in model.tensors:
        name = tensor.rpartition(".")[0]
        while name:
            found.add(name)
            name = name.rpartition(".")[0]
    return found


def _unknown(model: Model, name: str, known: set[str], what: str) -> str:
    last = sorted({each.rpartition(".")[2] for each in known} - {""})
    words = [each for each in last if not each.isdecimal()]
    near = get_close_matches(name.rpartition(".")[2], words, n=2)
    meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(words[:12])}"
    return f"{name} matches no {what} of {model.folder}; {meant}"
