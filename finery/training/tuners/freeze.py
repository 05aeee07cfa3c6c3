"""Some of the model's blocks are trained, or parts of them; the rest is frozen."""

from typing import Any

from finery.models.expansion import blocks_of
from finery.params.tuners.freeze import FreezeParams
from finery.training.errors import TrainingError
from finery.training.own_weights import train_only


def open_weights(params: FreezeParams, model: Any) -> None:
    """The chosen blocks and modules learn. Raises `TrainingError` if that is nothing."""
    blocks, count = blocks_of(model), params.trainable_layers
    chosen = blocks[len(blocks) - count :] if count > 0 else blocks[:-count]
    ids = {id(weight) for block in chosen for weight in _weights(block, params.trainable_modules)}
    inside = {id(weight) for weight in blocks.parameters()}
    ids |= {id(w) for w in _weights(model, params.extra_modules) if id(w) not in inside}
    names = {name for name, weight in model.named_parameters() if id(weight) in ids}
    if not names:
        raise TrainingError(f"none of the model's weights is of {params.trainable_modules}")
    train_only(model, names.__contains__)


def _weights(part: Any, modules: str | list[str]) -> Any:
    """All weights of a part, or those in modules of it, by their names or the ends of them."""
    for name, weight in part.named_parameters(remove_duplicate=False):
        if modules == "all" or any(f".{module}." in f".{name}" for module in modules):
            yield weight
