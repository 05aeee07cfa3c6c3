"""The weights of a merged model, from where they are stored to where they are written."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finery.merging.fidelity import MergeError
from finery.merging.room import no_room_for
from finery.merging.streamed.changed import Adapted, Own
from finery.merging.streamed.shards import Written
from finery.merging.streamed.start import Origin, Start
from finery.models.finite import is_finite
from finery.models.stored import Buffer, blocks


def write_weights(weights: Adapted | Own, tied: set[str], dtype: str, folder: Path) -> None:
    """Write the weights in `dtype` (torch's name), but those that are others by another name.

    They have the names, and follow one another, as if transformers had saved the model. Raises
    `RoomError` if one does not fit into the type, `MergeError` if it is no number.
    """
    start = weights.start
    empty = {name: _empty(start, name, dtype) for name in _in_order(start) if name not in tied}
    saved = _saved(start, empty)
    parameters = sum(each.numel() for name, each in empty.items() if name in start.parameters)
    with _one_thread(), Written(folder, saved, parameters) as written:
        done: set[str] = set()
        for name, each in empty.items():
            origin = start.origin(name)
            if name in done:
                continue
            if origin is None or origin.converter is None:
                target = origin.key if origin else name
                if target not in saved:
                    (target,) = _saved(start, {name: each})
                _by_rows(weights, name, target, written)
            else:
                done.update(origin.names)
                _converted(weights, origin, written)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Blocks are small: threads would wait for each other most of the time, at full load."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _in_order(start: Start) -> list[str]:
    from transformers.core_model_loading import dot_natural_key

    left_out = set(start.model._keys_to_ignore_on_save or ())
    return sorted({*start.names} - left_out, key=dot_natural_key)


def _empty(start: Start, name: str, dtype: str) -> Any:
    """A tensor as it will be written, without memory."""
    import torch

    own = start.dtype(name)
    kind = getattr(torch, dtype) if own.is_floating_point else own
    return torch.empty(start.shape(name), dtype=kind, device="meta")


def _saved(start: Start, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Some weights, by their names in the model, as they are in a checkpoint."""
    from transformers.core_model_loading import revert_weight_conversion

    return revert_weight_conversion(start.model, dict(tensors))


def _by_rows(weights: Adapted | Own, name: str, target: str, written: Written) -> None:
    """Write one weight that a checkpoint has as the model has it."""
    start, origin = weights.start, weights.start.origin(name)
    kind = written.dtype(target)
    alike = origin is not None and not weights.changes(name)
    if alike and start.stored.dtype(origin.key) == kind:
        return _copy(start, origin.key, target, written)
    buffer = Buffer()
    for begin, end in blocks(start.shape(name)):
        rows = weights.rows(name, begin, end)
        rounded = buffer.of(rows.shape, kind).copy_(rows)
        _insist_on_numbers(rows, rounded, name)
        written.put(target, begin, rounded)


def _converted(weights: Adapted | Own, origin: Origin, written: Written) -> None:
    """Write what a checkpoint has otherwise: as it is if nothing changed, or made from the sum."""
    start, keys = weights.start, [key for key, _ in origin.keys]
    if not any(map(weights.changes, origin.names)) and all(
        key in written and start.stored.dtype(key) == written.dtype(key) for key in keys
    ):
        for key in keys:
            _copy(start, key, key, written)
        return
    made = _saved(start, {name: weights.tensor(name) for name in origin.names})
    for target, tensor in made.items():
        rounded = tensor.to(written.dtype(target))
        _insist_on_numbers(tensor, rounded, target)
        written.put(target, 0, rounded)


def _copy(start: Start, key: str, target: str, written: Written) -> None:
    for begin, end in blocks(start.stored.shape(key)):
        written.put(target, begin, start.stored.rows(key, begin, end))


def _insist_on_numbers(sums: Any, rounded: Any, name: str) -> None:
    """Raises `RoomError` or `MergeError` if numbers are none once rounded, or were none before."""
    if is_finite(rounded):
        return
    if is_finite(sums):
        raise no_room_for(name, str(rounded.dtype).removeprefix("torch."))
    raise MergeError(f"{name} is NaN or infinite once merged; train with a smaller learning_rate")
