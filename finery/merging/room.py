"""Whether a type of numbers has room for a model: float16 ends at 65504."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from finery.errors import PipelineError

WIDER = {"float16": "bfloat16 or float32", "bfloat16": "float32"}


class RoomError(PipelineError):
    """A model has numbers that its type cannot hold."""


@contextmanager
def insist_on_room(model: Any, dtype: str) -> Iterator[None]:
    """Hold a model, its weights rounded to `dtype` but computing in float32, to the range of that.

    Raises `RoomError` afterwards for the layer where a computation within the context first went
    out of the range: a GPU that computes in `dtype` would have got NaN from there on.
    """
    import torch

    most, beyond = torch.finfo(getattr(torch, dtype)).max, []

    def watch(name: str) -> Any:
        def look(_: Any, given: tuple, result: Any) -> None:
            if not beyond and any(_largest(each) > most for each in (*given, result)):
                beyond.append(name)

        return look

    # Layers with weights only: what is passed to others may be a mask, infinite by intent.
    layers = [(name, part) for name, part in model.named_modules() if part._parameters]
    hooks = [part.register_forward_hook(watch(name)) for name, part in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    if beyond:
        raise RoomError(_said(dtype, f"what {beyond[0]} computes on the samples does not fit"))


def no_room_for(weight: str, dtype: str) -> RoomError:
    """The error that a weight was rounded to infinity."""
    return RoomError(_said(dtype, f"the weight {weight} does not fit into it"))


def _largest(value: Any) -> float:
    import torch

    is_activation = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.abs().max().item() if is_activation else 0.0


def _said(dtype: str, what: str) -> str:
    advice = f"; set it to {WIDER[dtype]}" if dtype in WIDER else ""
    return f"merge.dtype: {dtype} is too small for this model: {what}{advice}"
