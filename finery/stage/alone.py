"""What a process does without that only has models answer, on one device and uncompiled.

transformers loads, whether or not they are used, what several devices share work by, and what
compiles models: half of the time that it takes to load.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from finery.stage.beside import BESIDE, without

LIBRARIES = ("transformers.modeling_utils", "transformers.generation.utils")
COMPILER = "torch._dynamo"
MARKS = ("allow_in_graph", "assume_constant_result", "disable")
"""What it marks functions with, for when they are compiled."""


def load_libraries() -> None:
    """Load what plain models answer by, unless some of it is there already.

    To be called in a process that trains nothing: the libraries remember what they did not find.
    """
    if set(LIBRARIES) & sys.modules.keys():
        return
    with uncollected(), without((*BESIDE, "accelerate", "gptqmodel")), _one_device(), _uncompiled():
        for library in LIBRARIES:
            import_module(library)
    gc.freeze()  # or Python looks through all of it before it ends


@contextmanager
def uncollected() -> Iterator[None]:
    """Python does not look for garbage, of which loading makes little."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def _one_device() -> Iterator[None]:
    """As in builds of torch that have no part for several."""
    import torch.distributed

    available = torch.distributed.is_available
    torch.distributed.is_available = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_available = available


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Functions are not marked for the compiler, which needs to be loaded for that.

    It can be loaded afterwards, as ever. What else is asked of it is there, and loads it.
    """
    import torch

    if COMPILER in sys.modules:
        yield
        return
    absent = ModuleType(COMPILER)
    absent.__path__ = [str(Path(torch.__file__).parent / "_dynamo")]
    vars(absent).update(dict.fromkeys(MARKS, _unmarked))
    sys.modules[COMPILER] = torch._dynamo = absent
    try:
        yield
    finally:
        del sys.modules[COMPILER], torch._dynamo


def _unmarked(function: Any = None, *_: Any, **__: Any) -> Any:
    return _unmarked if function is None else function
