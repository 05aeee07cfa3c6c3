"""The weights that a model starts from, by the names that its parts have in transformers.

A checkpoint may have other names, or have the weights of each expert apart; transformers knows how
to make one of the other, both ways, and is asked.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

from finery.models.stored import Buffer, Stored, blocks, whole


@dataclass(frozen=True)
class Origin:
    """What in a checkpoint some weights of a model are made of."""

    names: tuple[str, ...]
    keys: tuple[tuple[str, str | None], ...]
    """The names in the checkpoint, each with the pattern by which the converter knows it."""
    converter: Any = None

    @property
    def key(self) -> str:
        return self.keys[0][0]


class Start:
    """The weights of a model without them, read from where they are stored."""

    def __init__(self, model: Any, stored: Stored) -> None:
        self.model, self.stored, self._buffer = model, stored, Buffer()
        self._empty = {name: each.to("meta") for name, each in model.state_dict().items()}
        self.names = self._empty.keys()
        self.parameters = self.names - {name for name, _ in model.named_buffers()}
        self.origins = list(_origins(model, stored))
        self._of = {name: origin for origin in self.origins for name in origin.names}
        self.given: dict[str, Any] = {}
        """What is taken instead of what is stored."""
        self._made: tuple[Origin | None, dict[str, Any]] = (None, {})
        tied = dict(model.all_tied_weights_keys or {})
        self.tied = {name: other for name, other in tied.items() if self._are_one(name, other)}
        """The weights that are others by another name."""
        self._read_buffers()

    def missing(self) -> list[str]:
        """The weights that are not there, nor are one that is."""
        return [name for name in self.names if self._found(name) is None]

    def origin(self, name: str) -> Origin | None:
        """What a weight is made of; None if it is not stored by this name."""
        return self._of.get(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape that the model has of a weight."""
        return tuple(self._empty[name].shape)

    def dtype(self, name: str) -> Any:
        """The type that the model has of a weight: of numbers with a point, float32."""
        return self._empty[name].dtype

    def rows(self, name: str, begin: int, end: int) -> Any:
        """Some rows of a weight, in float32; zeros where none are stored.

        They are there until others are asked for, and are not to be changed.
        """
        found = self._found(name)
        if found in self.given:
            return _part(self.given[found], begin, end)
        if found is None:
            return self._empty[name].new_zeros(self.shape(name), device="cpu")[begin:end]
        if (origin := self._of[found]).converter is not None:
            return _part(self._converted(origin)[found], begin, end)
        stored = self.stored.rows(origin.key, begin, end)
        if stored.is_floating_point() and stored.dtype != self.dtype(name):
            stored = self._buffer.of(stored.shape, self.dtype(name)).copy_(stored)
        return _padded(stored, end - begin) if stored.ndim else stored

    def tensor(self, name: str) -> Any:
        """A whole weight, in float32."""
        return whole(partial(self.rows, name), self.shape(name), self.dtype(name))

    def _found(self, name: str) -> str | None:
        """The name by which a weight is given or stored, its own or that of one it is tied to."""
        source = self.tied.get(name, name)
        others = [source, *(other for other, of in self.tied.items() if of == source)]
        names = [name, *(each for each in others if each != name)]
        given = (each for each in names if each in self.given)
        return next(given, None) or next((each for each in names if each in self._of), None)

    def _are_one(self, name: str, other: str) -> bool:
        """Whether two weights that may be tied are: one is not stored, or they are the same."""
        if name not in self._of or other not in self._of:
            return True
        one, two = self._of[name], self._of[other]
        if self.stored.shape(one.key) != self.stored.shape(two.key):
            return False
        return all(
            self.stored.rows(one.key, *rows).clone().equal(self.stored.rows(two.key, *rows))
            for rows in blocks(self.stored.shape(one.key))
        )

    def _converted(self, origin: Origin) -> dict[str, Any]:
        """The last is kept: several weights may be made of the same tensors."""
        if self._made[0] != origin:
            self._made = (None, {})
            tensors = {key: self._wide(key) for key, _ in origin.keys}
            self._made = (origin, _convert(self.model, origin, tensors))
        return self._made[1]

    def _wide(self, key: str) -> Any:
        """A whole tensor of the checkpoint, in float32 if it has numbers with a point."""
        import torch

        kind = self.stored.dtype(key)
        kind = torch.float32 if kind.is_floating_point else kind
        return whole(partial(self.stored.rows, key), self.stored.shape(key), kind)

    def _read_buffers(self) -> None:
        """Some are stored with the weights, and the model computes with them."""
        for name, buffer in self.model.named_buffers():
            if name in self._of:
                buffer.copy_(self.tensor(name))
            elif name in self.names:
                self.given[name] = buffer


def _origins(model: Any, stored: Stored) -> Iterator[Origin]:
    """As transformers.core_model_loading.convert_and_load_state_dict_in_model finds them."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import (
        WeightConverter,
        WeightRenaming,
        dot_natural_key,
        rename_source_key,
    )

    known, prefix = model.state_dict(), model.base_model_prefix
    mapping = get_model_conversion_mapping(model)
    renamings = [each for each in mapping if isinstance(each, WeightRenaming)]
    converters = [each for each in mapping if isinstance(each, WeightConverter)]
    of_pattern = {pattern: each for each in converters for pattern in each.source_patterns}
    found: dict[str, list[tuple[str, str | None]]] = {}
    for key in sorted(stored, key=dot_natural_key):
        name, pattern = rename_source_key(key, renamings, converters, prefix, known)
        if name not in known and key in known:
            name, pattern = key, None
        if name in known:
            found.setdefault(name, []).append((key, pattern))
    model._weight_conversions = [each for each in mapping if each.was_used()]
    for name, keys in found.items():
        if (pattern := keys[0][1]) is None:
            yield Origin((name,), (keys[0],))
        else:
            origin = Origin((name,), tuple(keys), of_pattern[pattern])
            made = _convert(model, origin, {key: stored.empty(key) for key, _ in keys})
            yield Origin(tuple(made), origin.keys, origin.converter)


def _convert(model: Any, origin: Origin, tensors: dict[str, Any]) -> dict[str, Any]:
    """The weights that are made of tensors of a checkpoint."""
    converter, (name, *_) = deepcopy(origin.converter), origin.names
    for key, pattern in origin.keys:
        converter.add_tensor(name, key, pattern, tensors[key])
    made = converter.convert(name, model=model, config=model.config)
    return {name: each[0] if isinstance(each, list) else each for name, each in made.items()}


def _part(tensor: Any, begin: int, end: int) -> Any:
    return tensor[begin:end] if tensor.ndim else tensor


def _padded(stored: Any, rows: int) -> Any:
    if len(stored) == rows:
        return stored
    padded = stored.new_zeros(rows, *stored.shape[1:])
    padded[: len(stored)] = stored
    return padded
