"""Overrides for GPTQModel 7.6, which has no switch for them; tests hold them to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_clipping() -> Iterator[None]:
    """Let AWQ scale the weights but not clip them.

    The search for a clipping overfits a small calibration set: on 64 short samples the perplexity
    of a 135M model was 24.0 with it, 18.5 without, 20.8 by plain rounding. An empty list of
    clippings is what the processor takes as "none".
    """
    from gptqmodel.looper.awq_processor import AWQProcessor

    def no_clips(self: Any, *_: Any, **__: Any) -> list[Any]:
        return []

    with replaced(AWQProcessor, "_search_best_clip", no_clips):
        yield


@contextmanager
def errors_in_threads(tell: Callable[[BaseException], None]) -> Iterator[None]:
    """Hand an error in one of GPTQModel's threads to `tell`, which is to end the process.

    Its workers print theirs and call `os._exit`, so that no handler of anybody's ever runs.
    """
    from gptqmodel.utils.threadx import _DeviceWorker

    def abort(self: Any, error: BaseException) -> None:
        tell(error)

    with replaced(_DeviceWorker, "_abort_process", abort):
        yield


@contextmanager
def linear_in_float32() -> Iterator[None]:
    """Multiply half-precision matrices in float32, for a CPU that only emulates half precision.

    Several times faster, and rounded once instead of at every step. Loading the whole model in
    float32 is no way out: AWQ would scale the only copy of its weights. All threads are meant,
    which a torch function mode would not reach.
    """
    import torch
    from torch.nn import functional

    linear = functional.linear

    def wide(x: Any, weight: Any, bias: Any = None) -> Any:
        if x.dtype not in (torch.bfloat16, torch.float16) or x.device.type != "cpu":
            return linear(x, weight, bias)
        result = linear(x.float(), weight.float(), None if bias is None else bias.float())
        return result.to(x.dtype)

    with replaced(functional, "linear", wide):
        yield


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Within it, an attribute of a class or module is another."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
