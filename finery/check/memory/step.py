"""What a step of the training takes of a device's memory at its peak: known before a weight loads.

The peak is one of two: as the loss is computed, when all activations are kept and the logits are
there; or as the backward pass ends, when all gradients are.
"""

from dataclasses import dataclass, replace
from typing import Any

from finery.check.facts import INPUT, OUTPUT
from finery.check.memory.activations import Batch, Trained, activation_bytes, layer_bytes
from finery.check.memory.adapter_size import adapter_size
from finery.check.memory.shape import Shape
from finery.params.step import StepParams

RUNTIME = {"cpu": 700_000_000, "gpu": 600_000_000}
"""Python, torch, transformers, PEFT and TRL in main memory; the CUDA context and cuBLAS's
workspace on a GPU. bench/memory.py measures the first."""
STATES = {
    "adafactor": 0.1, "sgd": 0, "lomo": 0, "muon": 4, "lion_32bit": 4, "rmsprop": 4, "adagrad": 4,
    "galore_adamw": 2, "galore_adafactor": 1, "apollo_adamw": 2, "ademamix": 12,
}  # fmt: skip
"""Bytes that an optimizer keeps for a weight in 4 bytes; two moments if it is not named here."""
TABLES = INPUT | OUTPUT
"""Modules of a row a token, by their names."""
TILE = (4096, 8192)
"""Tokens and words that TRL's kernel has logits of at once."""
IN_BITS = {"8bit": 2, "4bit": 1}


@dataclass(frozen=True)
class Need:
    """In bytes. `head` is what the loss takes: logits, their logarithms and their gradients."""

    weights: int
    optimizer: int
    gradients: int
    activations: int
    head: int
    runtime: int
    total: int

    @property
    def parts(self) -> str:
        """The largest of them, in words."""
        named = {
            "weights": self.weights, "optimizer": self.optimizer, "gradients": self.gradients,
            "activations": self.activations, "logits": self.head,
        }  # fmt: skip
        largest = sorted(named, key=lambda name: -named[name])[:3]
        return ", ".join(f"{name} {gigabytes(named[name])}" for name in largest if named[name])


def gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size < 1e11 else f"{size / 1e9:.0f} GB"


def step_memory(shape: Shape, params: StepParams, batch: Batch, *, half: bool, gpu: bool) -> Need:
    """What `params` takes of a model of that shape. `half`: it is trained in 2 bytes a number."""
    value = 2 if half else 4
    trained = trained_by(shape, params)
    weights = _weights(shape, params, trained, value)
    gradients = trained.weights * 4  # what is trained is in float32 in any case
    optimizer = int(trained.weights * _states(params))
    eager = params.attn_implementation == "eager"
    settings = (shape, batch, trained, value, eager)
    every = params.gradient_checkpointing_kwargs.every_n_layers
    checkpointed = shape.layers // every if params.gradient_checkpointing else 0
    activations = activation_bytes(*settings, checkpointed)
    head = _head(shape, params, batch, value, gpu)
    runtime = RUNTIME["gpu" if gpu else "cpu"]
    lasting = runtime + weights + optimizer + (gradients if params.batch[1] > 1 else 0)
    table = shape.vocabulary * shape.width * 4 if trained.everything else 0
    at_loss = activations + head
    at_end = gradients + table + layer_bytes(*settings) + _unpacked(shape, params, value)
    total = lasting + max(at_loss, at_end)
    if params.quantization is not None and params.quantization.method == "hqq":
        total = max(total, runtime + shape.parameters * value)  # loaded whole, then quantized
    return Need(weights, optimizer, gradients, activations, head, runtime, total)


def trained_by(shape: Shape, params: StepParams) -> Trained:
    """What a tuner trains; the activations of an adapter are counted as those of a LoRA."""
    tuner: Any = params.tuner
    names = frozenset(shape.layer)
    if tuner.type == "full":
        return Trained(shape.parameters, True, names)
    if tuner.type in ("freeze", "expansion"):
        return _some_layers(shape, tuner, names)
    targets = getattr(tuner, "target_modules", "all-linear")
    if not isinstance(targets, str):
        names = frozenset(targets)
    rank = getattr(tuner, "rank", None) or 8
    dropout, dora = bool(getattr(tuner, "dropout", 0)), bool(getattr(tuner, "use_dora", False))
    every = Trained(0, False, names, rank, dropout, dora)
    weights = sum(
        adapter_size(tuner, rows, columns, _rank(tuner, name, rank))
        for name, (rows, columns) in shape.linears.items()
        if (isinstance(targets, str) or every.has(name)) and _is_adapted(tuner, name)
    )
    whole = set(getattr(tuner, "modules_to_save", ())) & TABLES
    return replace(every, weights=weights + len(whole) * shape.vocabulary * shape.width)


def _rank(tuner: Any, layer: str, rank: int) -> int:
    patterns = getattr(tuner, "rank_pattern", {}).items()
    return next((own for name, own in patterns if f".{layer}".endswith(f".{name}")), rank)


def _is_adapted(tuner: Any, layer: str) -> bool:
    """Whether it is none of those that are left out, by name or by the number of their block."""
    excluded = getattr(tuner, "exclude_modules", ())
    blocks = getattr(tuner, "layers_to_transform", None)
    numbers = [int(part) for part in layer.split(".") if part.isdigit()][:1]
    inside = blocks is None or not numbers or numbers[0] in blocks
    return inside and not any(f".{layer}".endswith(f".{name}") for name in excluded)


def _some_layers(shape: Shape, tuner: Any, names: frozenset[str]) -> Trained:
    """Some blocks of the model, or copies of some; the activations are counted of all of them."""
    count = getattr(tuner, "blocks", None) or abs(getattr(tuner, "trainable_layers", 2))
    return Trained(shape.inside // shape.layers * min(count, shape.layers), True, names)


def _weights(shape: Shape, params: StepParams, trained: Trained, value: int) -> int:
    """Of the model, in the bits that its base is quantized to, and of what is trained, in float32.

    A model that computes in half precision has copies of what is trained of it.
    """
    frozen = shape.parameters - (trained.weights if trained.everything else 0)
    size = frozen * value + trained.weights * 4
    if params.quantization is not None:
        size += int(shape.inside * (params.quantization.bytes_a_weight - value))
    if trained.everything and value < 4:
        size += trained.weights * value
    if params.method == "dpo" and trained.everything:
        size += shape.parameters * value  # the reference
    return size


def _unpacked(shape: Shape, params: StepParams, value: int) -> int:
    """The one linear layer that is not in a few bits, while it is computed with."""
    if params.quantization is None:
        return 0
    return max(rows * columns for rows, columns in shape.linears.values()) * value


def _states(params: StepParams) -> float:
    packed = (size for sign, size in IN_BITS.items() if sign in params.optim)
    return next(packed, STATES.get(params.optim, 8))


def _head(shape: Shape, params: StepParams, batch: Batch, value: int, gpu: bool) -> int:
    """What is there at once of the logits.

    On a CPU, supervised learning projects `columns` onto the vocabulary, and has at the peak those
    logits twice and the gradients of the counted ones; on a GPU TRL computes them in chunks. Other
    methods have them all, in float32, with their logarithms and gradients.
    """
    if params.method == "reward":
        return 0
    a_token = shape.vocabulary * 4
    if params.method not in ("sft", "pretrain"):
        return 3 * batch.tokens * a_token  # the logits, their logarithms, and the gradients
    if gpu:
        return min(batch.counted, TILE[0]) * TILE[1] * 4
    return (2 * batch.rows * batch.columns + batch.counted) * a_token
