"""The weights of a model with what was trained: an adapter merged in, or weights of its own."""

import re
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

from finery.merging.fidelity import MergeError
from finery.merging.streamed.skeleton import is_hollow
from finery.merging.streamed.start import Start
from finery.models.stored import Buffer, Stored, blocks, whole

ADAPTER = "default"
"""PEFT's name of the only one."""
WRAPPED = re.compile(r"\.(base_layer|original_module|token_adapter)(?=\.)")
NEAR = 1e-6
"""How far two sums of the same may be from each other, relative to their size."""


class Own:
    """A model with weights of its own that were trained."""

    def __init__(self, start: Start, trained: Stored, told: str) -> None:
        """Raises `MergeError`, saying what is `told`, if they are not of this model."""
        self.start, self._trained, self._buffer = start, trained, Buffer()
        for name in trained:
            if name not in start.names or start.shape(name) != trained.shape(name):
                raise MergeError(f"{told}, which has no such {name}; train it again")

    def changes(self, name: str) -> bool:
        return name in self._trained or self.start.tied.get(name) in self._trained

    def replaces(self, name: str) -> bool:
        """Whether a weight does not depend on that of the start."""
        return self.changes(name)

    def is_one(self, name: str, other: str) -> bool:
        """Whether two weights that are tied in the start still are."""
        return name not in self._trained

    def rows(self, name: str, begin: int, end: int) -> Any:
        """Some rows of a weight, in float32: there until others are asked for."""
        if not self.changes(name):
            return self.start.rows(name, begin, end)
        source = name if name in self._trained else self.start.tied[name]
        stored = self._trained.rows(source, begin, end)
        return self._buffer.of(stored.shape, self.start.dtype(name)).copy_(stored)

    def tensor(self, name: str) -> Any:
        return whole(partial(self.rows, name), self.start.shape(name), self.start.dtype(name))

    def apart(self, name: str) -> Any:
        """A whole weight, in float32, each as it is stored."""
        source = name if name in self._trained else self.start.tied.get(name, name)
        stored = self._trained if source in self._trained else None
        if stored is None:
            return self.start.tensor(name)
        return whole(partial(stored.rows, source), stored.shape(source), self.start.dtype(name))


class Adapted:
    """A model with an adapter merged into it; `model` is a skeleton under PEFT's.

    The sum W + s B A of a plain LoRA is taken by rows. All else (DoRA, other tuners, experts) is
    merged by the layers of PEFT themselves, the weights of one in memory at a time.
    """

    def __init__(self, start: Start, model: Any) -> None:
        self.start, self.model, self._buffer = start, model, Buffer()
        self._layers = dict(_layers(model.base_model.model))
        self._of = {
            f"{path}.{name}": path
            for path, layer in self._layers.items()
            for name, _ in _inner(layer).named_parameters()
            if name == "weight" or not _is_plain(layer)
        }
        self._merged: tuple[str | None, dict[str, Any]] = (None, {})
        self._given = {
            ours: weight.data
            for name, weight in model.base_model.model.named_parameters(remove_duplicate=False)
            if (ours := own_name(name)) in start.names and not is_hollow(weight)
        }
        """The model's own weights that came with the adapter: biases, tables with more rows."""
        start.given |= self._given

    def changes(self, name: str) -> bool:
        return name in self._of or name in self._given

    def replaces(self, name: str) -> bool:
        """Whether a weight does not depend on that of the start."""
        return name in self._given or hasattr(
            self._layers.get(self._of.get(name)), "modules_to_save"
        )

    def is_one(self, name: str, other: str) -> bool:
        """Whether two weights that are tied in the start still are."""
        if name not in self._of and other not in self._of:
            return True
        if name not in self._of or other not in self._of:
            return False
        return all(
            (self.rows(name, *rows).clone() - (same := self.rows(other, *rows))).abs().max()
            <= NEAR * same.abs().max()
            for rows in blocks(self.start.shape(name))
        )

    def rows(self, name: str, begin: int, end: int) -> Any:
        """Some rows of a weight, in float32: there until others are asked for."""
        if name not in self._of:
            return self.start.rows(name, begin, end)
        layer = self._layers[path := self._of[name]]
        if _is_plain(layer):
            stored = self.start.rows(name, begin, end)
            return _low_rank(layer, begin, end, self._buffer.of(stored.shape, stored.dtype)).add_(
                stored
            )
        if self._merged[0] != path:
            self._merged = (None, {})
            self._merged = (path, dict(self._by_peft(path, layer)))
        return self._merged[1][name][begin:end]

    def tensor(self, name: str) -> Any:
        return whole(partial(self.rows, name), self.start.shape(name), self.start.dtype(name))

    def _by_peft(self, path: str, layer: Any) -> Iterator[tuple[str, Any]]:
        """The weights of one layer, merged as PEFT's merge_and_unload does it."""
        import torch
        from peft.utils.other import ModulesToSaveWrapper

        if isinstance(layer, ModulesToSaveWrapper):
            trained = layer.modules_to_save[ADAPTER].named_parameters()
            yield from ((f"{path}.{name}", weight.data) for name, weight in trained)
            return
        layer = deepcopy(layer)
        for name, part in _inner(layer).named_modules():
            for key in [key for key, weight in part._parameters.items() if weight is not None]:
                weight = self.start.tensor(".".join(filter(None, (path, name, key))))
                part._parameters[key] = torch.nn.Parameter(weight, requires_grad=False)
        if hasattr(layer, "unload_and_optionally_merge_module"):
            layer = layer.unload_and_optionally_merge_module(True, True, None)
        else:
            layer.merge(safe_merge=True)
            layer = layer.get_base_layer()
        yield from ((f"{path}.{name}", weight.data) for name, weight in layer.named_parameters())


def _layers(module: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The outermost layers that PEFT has put in the places of the model's, by their names."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper):
        yield path, module
        return
    for name, child in module.named_children():
        yield from _layers(child, f"{path}.{name}".removeprefix("."))


def _inner(layer: Any) -> Any:
    """The layer of the model itself."""
    return layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer.original_module


def own_name(name: str) -> str:
    """What a weight is called in the model itself that is called so under PEFT."""
    return WRAPPED.sub("", name)


def _is_plain(layer: Any) -> bool:
    """Whether it is W + s B A and no more."""
    from peft.tuners.lora import layer as lora

    if type(layer) not in (lora.Linear, lora.Embedding):
        return False
    return ADAPTER not in layer.lora_variant and not layer.lora_bias.get(ADAPTER)


def _low_rank(layer: Any, begin: int, end: int, into: Any) -> Any:
    """Rows of s B A, in the order of PEFT's get_delta_weight: the same to the bit."""
    import torch

    if ADAPTER in layer.lora_embedding_A:
        a, b, flipped = layer.lora_embedding_A[ADAPTER], layer.lora_embedding_B[ADAPTER], True
    else:
        a, b = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
        flipped = layer.fan_in_fan_out
    with torch.inference_mode():
        if flipped:
            into.copy_((b @ a[:, begin:end]).T)
        else:
            torch.mm(b[begin:end], a, out=into)
    return into.mul_(layer.scaling[ADAPTER])
