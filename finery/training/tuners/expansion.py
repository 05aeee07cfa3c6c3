"""New blocks between the model's own, which stay as they are."""

from typing import Any

from finery.models.expansion import blocks_of, expand
from finery.params.tuners.expansion import ExpansionParams
from finery.training.own_weights import train_only


def open_weights(params: ExpansionParams, model: Any) -> None:
    """Put the blocks in; only they learn. Raises `ExpansionError` if the model cannot have them."""
    places = expand(model, params.blocks)
    blocks = blocks_of(model)
    new = {id(weight) for place in places for weight in blocks[place].parameters()}
    names = {name for name, weight in model.named_parameters() if id(weight) in new}
    train_only(model, names.__contains__)
