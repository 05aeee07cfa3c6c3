"""Whether the configured model fits: into the GPUs' memory, and into this machine's."""

from collections.abc import Iterator
from pathlib import Path

import psutil

from finery.doctor.finding import Finding, note, ok, problem
from finery.doctor.model_size import ModelSize, model_size, training_bytes
from finery.doctor.nvidia import Cards
from finery.params.schema import Params

GB = 10**9
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
LESS = (
    "lower {key}.per_device_batch_size (and raise gradient_accumulation_steps) or {cutoff}, or set"
    " {key}.gradient_checkpointing: true"
)


def memory(params: Params, cards: Cards | None) -> Iterator[Finding]:
    """`cards` are those that torch can use; None if all runs on the CPU."""
    size = model_size(params)
    if size is None:
        yield ok("memory", f"{_ram() / GB:.0f} GB; the model's need is known once it is downloaded")
        return
    if cards is not None:
        yield from _on_gpu(params, size, cards)
    yield from _on_cpu(params, size, training=cards is None)


def _on_gpu(params: Params, size: ModelSize, cards: Cards) -> Iterator[Finding]:
    """For the smallest card, since a stage may be given any."""
    card = min(cards.cards, key=lambda card: card.total)
    if not card.total:
        return
    step, need = _largest(params, size, on_gpu=True)
    weights = size.parameters * (2 if params.train[step].precision != "fp32" else 4)
    what = f"training takes up to about {need / GB:.1f} of {card.total / GB:.1f} GB"
    if weights > card.total:
        what = f"{weights / GB:.1f} GB of weights do not fit into {card.total / GB:.1f} GB"
        advice = "choose a smaller model.source, or a larger GPU"
        yield problem("GPU memory", f"{what} ({card.name})", advice)
    elif need > card.total:
        yield note("GPU memory", f"{what} ({card.name}): it may run out", _less(params, step))
    elif need > card.total - card.used:
        what = f"{what}, of which other programs hold {card.used / GB:.1f}"
        yield note("GPU memory", what, "`nvidia-smi` lists them; end them, or choose another card")
    else:
        yield ok("GPU memory", what)


def _on_cpu(params: Params, size: ModelSize, training: bool) -> Iterator[Finding]:
    """Merging holds the model in float32 on the CPU, and so does training without a GPU."""
    weights, total = size.parameters * 4, _ram()
    need, doing = weights + GB, "merging"
    if training:
        step, need = _largest(params, size, on_gpu=False)
        doing = "training"
    what = f"{doing} takes up to about {need / GB:.1f} of {total / GB:.1f} GB"
    if weights > total + psutil.swap_memory().total:
        what = f"{weights / GB:.1f} GB of float32 weights do not fit into {total / GB:.1f} GB"
        yield problem("memory", what, "choose a smaller model.source, or a larger machine")
    elif need > total:
        advice = _less(params, step) if training else "use a machine with more memory, or add swap"
        yield note("memory", f"{what}: it may run out", advice)
    elif need > (free := psutil.virtual_memory().available):
        what = f"{what}, of which {free / GB:.1f} are free now"
        yield note("memory", what, "end other programs before the run")
    else:
        yield ok("memory", what)


def _largest(params: Params, size: ModelSize, on_gpu: bool) -> tuple[str, int]:
    """The step of the training that takes the most memory, and how much, in bytes."""
    needs = {
        name: training_bytes(
            size, step, params.data_of(name).cutoff_len, half=on_gpu and step.precision != "fp32"
        )
        for name, step in params.train.items()
    }
    return max(needs.items(), key=lambda need: need[1])


def _less(params: Params, step: str) -> str:
    return LESS.format(key=f"train.{step}", cutoff=params.data_of(step).key("cutoff_len"))


def _ram() -> float:
    """Bytes of memory: the machine's, or what the container may use of it."""
    total = float(psutil.virtual_memory().total)
    for limit in map(Path, LIMITS):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            total = min(total, float(text))
    return total
