"""Merge what was trained into the model it started from, from file to file, and check the sum."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from finery.merging.adapter import OWN_WEIGHTS, are_own_weights, tuner_of
from finery.merging.fidelity import (
    NOISE,
    Probe,
    bound_of,
    compare,
    insist_on_exact,
    insist_on_finite,
)
from finery.merging.room import insist_on_room
from finery.merging.streamed.changed import Adapted, Own
from finery.merging.streamed.passes import logits
from finery.merging.streamed.skeleton import adapted, empty, hollow, tokens_of
from finery.merging.streamed.start import Start
from finery.merging.streamed.writing import write_weights
from finery.models.rope import scaling_of, stretched
from finery.models.scoring import is_scorer
from finery.models.stored import Stored, of_model

Build = Callable[[str], Any]
"""The model without its weights, in a type, by torch's name of that."""


class NotByRowsError(Exception):
    """The whole model has to be in memory."""


def merge_by_rows(
    base: Path, trained: Path, dtype: str, probes: list[Probe], folder: Path
) -> tuple[dict[str, Any], list[Any]]:
    """Write the merged model into `folder`, in `dtype`, and how it compares with base + trained.

    The sum is taken in float32 and rounded once. Returns {"exact": before rounding, "rounded":
    after}, each as `compare` gives it, and the logits of what was written. Raises `MergeError` if
    the sum is off, `RoomError` if the type cannot hold it, `NotByRowsError` before all else.
    """
    build = builder(base, trained)
    weights = merged_weights(base, trained, build)
    plain = hollow(build("float32"))
    Start(plain, of_model(base))
    expected, bound = _expected(weights, plain, probes)
    insist_on_finite(expected, base, trained)
    exact = compare(expected, logits(plain, weights.tensor, probes))
    insist_on_exact(exact, bound, f"{trained} does not belong to {base}, or cannot be merged")
    write(weights, build, dtype, folder)
    written = Start(plain, of_model(folder))
    with insist_on_room(plain, dtype):
        after = logits(plain, written.tensor, probes)
    return {"exact": exact, "rounded": compare(expected, after)}, after


def builder(base: Path, trained: Path) -> Build:
    """Makes the model in the folder `base` as it is once merged with what was `trained`."""
    scores, settings = is_scorer(trained), stretched(base, scaling_of(trained))
    if are_own_weights(trained):
        return partial(empty, base, scores, **settings)
    tokens = tokens_of(trained, empty(base, scores, "float32"))
    return partial(empty, base, scores, tokens=tokens, **settings)


def merged_weights(base: Path, trained: Path, build: Build) -> Adapted | Own:
    """The weights of the merged model, read as they are asked for.

    Raises `MergeError` if what was trained does not fit, `NotByRowsError`.
    """
    model = hollow(build("float32"))
    start = Start(model, of_model(base))
    if are_own_weights(trained):
        if tuner_of(trained) == "expansion":
            raise NotByRowsError("it has more blocks than it had")
        files = sorted(trained.glob(OWN_WEIGHTS))
        weights: Adapted | Own = Own(start, Stored(files), f"{trained} does not fit {base}")
    else:
        weights = Adapted(start, adapted(model, base, trained))
    if lost := [name for name in start.missing() if not weights.replaces(name)]:
        raise NotByRowsError(f"{base} has no {lost[0]}")
    return weights


def write(weights: Adapted | Own, build: Build, dtype: str, folder: Path) -> None:
    """Write the merged model into a folder: config.json, generation_config.json and the weights.

    Raises `RoomError` if a weight does not fit into `dtype`, torch's name of the type.
    """
    tied = {n for n, other in weights.start.tied.items() if weights.is_one(n, other)}
    model = build(dtype)
    if tied != set(weights.start.tied):
        for config in (model.config, model.config.get_text_config()):
            config.tie_word_embeddings = False
    model.save_pretrained(folder, state_dict={})
    write_weights(weights, tied, dtype, folder)


def _expected(weights: Adapted | Own, plain: Any, probes: list[Probe]) -> tuple[list[Any], float]:
    """The logits of the start with what was trained, and how far the sum's may be from them."""
    if isinstance(weights, Own):
        return logits(plain, weights.apart, probes), NOISE
    expected = logits(weights.model, weights.start.tensor, probes)
    with weights.model.disable_adapter():
        without = logits(weights.model, weights.start.tensor, probes)
    return expected, bound_of(expected, without)
