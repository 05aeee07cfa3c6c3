"""What a model computes whose weights are read block by block, one block in memory at a time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from finery.merging.fidelity import Probe, given, some
from finery.merging.streamed.changed import own_name
from finery.merging.streamed.skeleton import is_hollow

Weight = Callable[[str], Any]
"""A whole weight of the model, by its name there, in float32."""


def logits(model: Any, weight: Weight, probes: list[Probe]) -> list[Any]:
    """The logits of each probe, of some of its places, of a skeleton with these weights.

    What stands outside of the blocks, such as the table of words, is in memory all the time.
    """
    import torch

    def call(probe: Probe) -> Any:
        with torch.inference_mode():
            return some(model(**given(probe), use_cache=False).logits[0])

    blocks = dict(_blocks(model))
    inside = {id(part) for block in blocks.values() for part in block.modules()}
    outside = {n: part for n, part in model.named_modules() if id(part) not in inside}
    with _filled(outside, weight):
        return _together(blocks, weight, [lambda probe=probe: call(probe) for probe in probes])


def _blocks(module: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of the outermost lists of modules, by their names."""
    from torch.nn import ModuleList

    for name, child in module.named_children():
        inner = f"{path}.{name}".removeprefix(".")
        if isinstance(module, ModuleList):
            yield inner, child
        else:
            yield from _blocks(child, inner)


@contextmanager
def _filled(parts: dict[str, Any], weight: Weight) -> Iterator[None]:
    """Have the weights in the places of those that are only read as tensors, for a while."""
    import torch

    hollow = {
        (name, key): (part, own)
        for name, part in parts.items()
        for key, own in part._parameters.items()
        if own is not None and is_hollow(own)
    }
    for (name, key), (part, _) in hollow.items():
        own = own_name(f"{name}.{key}".removeprefix("base_model.model."))
        part._parameters[key] = torch.nn.Parameter(weight(own), requires_grad=False)
    try:
        yield
    finally:
        for (_, key), (part, own) in hollow.items():
            part._parameters[key] = own


def _together(blocks: dict[str, Any], weight: Weight, calls: list[Callable[[], Any]]) -> list[Any]:
    """What the calls return, all going through the blocks together: each is read once for all.

    Each call has a thread, of which one goes on at a time: up to the next block.
    """
    turns = _Turns(calls)
    hooks = [
        block.register_forward_pre_hook(lambda *_, name=name: turns.wait(name))
        for name, block in blocks.items()
    ]
    try:
        turns.go_on(range(len(calls)))
        while (name := turns.next()) is not None:
            parts = {f"{name}.{n}".rstrip("."): part for n, part in blocks[name].named_modules()}
            with _filled(parts, weight):
                turns.go_on([number for number, at in turns.at.items() if at == name])
        return turns.results()
    finally:
        turns.end()
        for hook in hooks:
            hook.remove()


class _Turns:
    """Calls in threads, each of which stops before a block until it is told to go on."""

    def __init__(self, calls: list[Callable[[], Any]]) -> None:
        self.at: dict[int, str] = {}
        """Before which block each call has stopped that has not ended."""
        self._found: dict[int, Any] = {}
        self._errors: list[BaseException] = []
        self._ended = False
        self._own = threading.local()
        self._go = [threading.Semaphore(0) for _ in calls]
        self._stopped = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._run, args=each, daemon=True) for each in enumerate(calls)
        ]
        for thread in self._threads:
            thread.start()

    def wait(self, name: str) -> None:
        """Called in a thread: stop before a block."""
        number = self._own.number
        self.at[number] = name
        self._stopped.release()
        self._go[number].acquire()
        if self._ended:
            raise SystemExit

    def go_on(self, numbers: Any) -> None:
        """Let some go on, one after the other, each up to where it stops next."""
        for number in numbers:
            self.at.pop(number, None)
            self._go[number].release()
            self._stopped.acquire()

    def next(self) -> str | None:
        """The block before which the first has stopped; None once all have ended."""
        return self.at[min(self.at)] if self.at and not self._errors else None

    def results(self) -> list[Any]:
        """Raises what a call has raised."""
        for error in self._errors:
            raise error
        return [self._found[number] for number in range(len(self._threads))]

    def end(self) -> None:
        """End what has not ended, where one has failed."""
        self._ended = True
        for number in list(self.at):
            self._go[number].release()
        for number, thread in enumerate(self._threads):
            self._go[number].release()
            thread.join()

    def _run(self, number: int, call: Callable[[], Any]) -> None:
        self._own.number = number
        self._go[number].acquire()
        try:
            if not self._ended:
                self._found[number] = call()
        except SystemExit:
            pass
        except BaseException as error:
            self._errors.append(error)
        finally:
            self._stopped.release()
