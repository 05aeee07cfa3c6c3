"""All weights are trained: the model itself, without an adapter."""

from finery.params.tuners.full import FullParams


def peft_config(params: FullParams) -> None:
    """None: PEFT has no part in it."""
