"""What libraries load beside themselves, only because it is installed.

transformers, PEFT and GPTQModel look for packages that serve quantized models, some optimizers or
pictures, and load those that are there: a quarter of the time that a training takes to begin.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

BESIDE = ("bitsandbytes", "hqq", "scipy", "sklearn", "torchao")


@contextmanager
def without(packages: Sequence[str]) -> Iterator[None]:
    """Within it, packages that are not loaded yet are not to be found; afterwards they are.

    For a process that never needs them by way of what it loads here: that remembers.
    """
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
