"""All weights are trained: the model itself, without an adapter."""

from typing import Any

from finery.params.tuners.full import FullParams
from finery.training.own_weights import train_only


def open_weights(params: FullParams, model: Any) -> None:
    """Every weight learns."""
    train_only(model, lambda name: True)
