"""What a forward pass keeps for the backward pass, in bytes: counted, tensor by tensor.

Counted are the tensors that autograd saves in the decoder layers of transformers, each once
(norm, linear layers, rotation, attention, activation), as Korthikanti et al. 2022
(arXiv:2205.05198) count those of GPT; tests compare with what torch saves.
"""

from dataclasses import dataclass

from finery.check.memory.shape import Shape


@dataclass(frozen=True)
class Batch:
    """What the largest forward pass is of: rows of a length, padded to it or not, in tokens.

    `counted` are the tokens of all rows that the loss counts, `columns` the positions of a row
    where one of any row is counted.
    """

    rows: int
    length: int
    counted: int
    columns: int
    padded: bool

    @property
    def tokens(self) -> int:
        return self.rows * self.length


@dataclass(frozen=True)
class Trained:
    """Which of a layer's tensors the backward pass needs to train what is trained in it."""

    weights: int
    """How many, in the whole model."""
    everything: bool
    """The model's own weights, rather than an adapter's."""
    targets: frozenset[str]
    """Names, or their ends, of the linear layers that have an adapter or are trained themselves."""
    rank: int = 0
    dropout: bool = False
    dora: bool = False

    def has(self, name: str) -> bool:
        """Whether a linear layer of that name is trained, or has an adapter."""
        return any(name == each or name.endswith(f".{each}") for each in self.targets)


def layer_bytes(shape: Shape, batch: Batch, trained: Trained, value: int, eager: bool) -> int:
    """Of one decoder layer. A `value` has 2 or 4 bytes; norms compute in 4 in any case.

    `eager`: attention scores are kept, and not recomputed by a kernel.
    """
    if shape.layer_norm:
        norms = value * shape.norms
    else:
        norms = (4 + (value if trained.everything else 0)) * shape.norms
    kept = _attention(shape, batch, value, eager) + _mlp(shape) + _inputs(shape, trained, value)
    return batch.tokens * (norms + value * kept + 4 * shape.heads)


def activation_bytes(
    shape: Shape, batch: Batch, trained: Trained, value: int, eager: bool, checkpointed: int
) -> int:
    """Of the whole model at the end of a forward pass.

    Of the `checkpointed` layers only the inputs, and one of them, computed again.
    """
    a_layer = layer_bytes(shape, batch, trained, value, eager)
    last = batch.tokens * shape.width * (4 + (value if trained.everything else 0))
    inputs = checkpointed * batch.tokens * shape.width * value
    whole = shape.layers - checkpointed + (1 if checkpointed else 0)
    return whole * a_layer + inputs + last


def _attention(shape: Shape, batch: Batch, value: int, eager: bool) -> int:
    """Rotated queries, keys, values, and a mask where rows are padded: keys are then repeated."""
    masked = batch.padded or eager
    kept = shape.queries + 2 * (shape.queries if masked else shape.keys)
    if shape.fused and not masked:  # the values are a slice of what keeps all three
        kept += shape.queries + shape.keys
    if eager:
        return kept + batch.length * shape.heads * (1 if value == 4 else 3)
    return kept + (batch.length if masked else 0)


def _mlp(shape: Shape) -> int:
    """Both halves of a gated one and the activation; the input of the activation otherwise."""
    return shape.mlp * (3 if shape.gated else 4 if shape.stepwise else 1)


def _inputs(shape: Shape, trained: Trained, value: int) -> int:
    """What goes into the linear layers whose weights, or whose adapters, are trained.

    Layers side by side share their input, unless each adapter has its own copy of it: after
    dropout (and the mask that it was multiplied with), or in another type than the model's. What
    comes out of attention is kept by that anyway.
    """
    layers = {name: size for name, size in shape.layer.items() if trained.has(name)}
    widths = {
        "qkv": shape.width, "out": shape.queries, "up": shape.width * shape.experts,
        "down": shape.mlp,
    }  # fmt: skip
    if not trained.everything and (trained.dropout or value == 2):
        each = sum(widths[shape.kind(name)] for name in layers)
        kept = each * (2 if trained.dropout else 1) + shape.queries
    else:
        kept = sum(widths[kind] for kind in {shape.kind(name) for name in layers} | {"out"})
    kept += trained.rank * len(layers)
    return kept + (2 * sum(rows for rows, _ in layers.values()) if trained.dora else 0)
