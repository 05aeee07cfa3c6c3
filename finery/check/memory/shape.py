"""How wide and deep a language model is, from its config.json and the headers of its weights."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finery.check.facts import Model
from finery.models.layer_widths import linears
from finery.models.tensors import IN_A_BLOCK

NAMES = {
    "width": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "keys": ("num_key_value_heads", "num_kv_heads", "n_head_kv"),
    "mlp": ("moe_intermediate_size", "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
    "experts": ("num_experts_per_tok", "num_experts_per_token", "top_k"),
    "vocabulary": ("vocab_size",),
}
"""What config.json calls them, from architecture to architecture."""
GATES = re.compile(r"gate_proj|gate_up_proj|(^|\.)w3\.|gate_linear|(^|\.)gate\.weight$")
NORM_BIAS = re.compile(r"\.\w*(ln|norm|layer_norm)\w*\.bias$")
FUSED = re.compile(r"qkv_proj|query_key_value|Wqkv")
OUT = {"o_proj", "out_proj", "dense", "wo", "c_proj", "out_lin", "proj"}
EXPERT = re.compile(r"(?<=experts)\.\d+\.")
ACTIVATION = ("hidden_act", "activation_function", "hidden_activation", "ffn_config")
STEPWISE = {"gelu_new", "gelu_fast", "gelu_pytorch_tanh_python", "gelu_python"}
"""Activations that transformers computes in Python, step by step."""


@dataclass(frozen=True)
class Shape:
    """Widths of a decoder, in numbers a token; `mlp` of all experts that a token is sent to."""

    parameters: int
    width: int
    layers: int
    heads: int
    queries: int
    keys: int
    mlp: int
    gated: bool
    stepwise: bool
    fused: bool
    """Whether one linear layer makes queries, keys and values, and the first two are rotated."""
    experts: int
    """To how many a token is sent."""
    norms: int
    """Of what one layer's norms take in, together."""
    layer_norm: bool
    """Whether they are LayerNorms, in one kernel each, and no RMSNorms."""
    vocabulary: int
    tied: bool
    linears: Mapping[str, tuple[int, int]]
    """Outputs and inputs of each linear layer inside the decoder blocks, by its name."""

    @property
    def layer(self) -> dict[str, tuple[int, int]]:
        """The linear layers of one block, by their names in it; of one expert for all."""
        first = _block(next(iter(self.linears), ""))
        inside = {name.removeprefix(first): size for name, size in self.linears.items()
                  if name.startswith(first)}  # fmt: skip
        return {EXPERT.sub(".", name): size for name, size in inside.items()}

    def kind(self, name: str) -> str:
        """What goes into one of `layer`: into qkv and up a norm's output, what they make into
        out and down.
        """
        rows, columns = self.layer[name]
        if "attn" in name or "attention" in name:
            return "out" if name.rpartition(".")[2] in OUT else "qkv"
        return "down" if rows == self.width and columns * self.experts == self.mlp else "up"

    @property
    def inside(self) -> int:
        """Weights of the linear layers inside the blocks: what is quantized."""
        return sum(rows * columns for rows, columns in self.linears.values())


def shape(model: Model) -> Shape | None:
    """None if there is no model yet. What config.json does not say is told from the weights."""
    if not model.tensors:
        return None
    said = {name: _number(model.text, keys) for name, keys in NAMES.items()}
    inside = linears(model.language)
    width = said["width"] or min((columns for _, columns in inside.values()), default=1)
    layers = said["layers"] or len({_block(name) for name in inside}) or 1
    heads = said["heads"] or 1
    head = model.text.get("head_dim") or width // heads
    return Shape(
        parameters=sum(math.prod(each["shape"]) for each in model.tensors.values()),
        width=width,
        layers=layers,
        heads=heads,
        queries=heads * head,
        keys=(said["keys"] or heads) * head,
        mlp=(said["mlp"] or 4 * width) * (said["experts"] or 1),
        gated=any(GATES.search(name) for name in model.language),
        stepwise=_activation(model.text) in STEPWISE,
        fused=any(FUSED.search(name) for name in inside),
        experts=said["experts"] or 1,
        norms=_norms(model, heads, said["keys"] or heads),
        layer_norm=any(NORM_BIAS.search(name) for name in model.language),
        vocabulary=max([said["vocabulary"] or 0, *model.embeddings.values()]),
        tied=model.tied,
        linears=inside,
    )


def _block(name: str) -> str:
    """The name of a decoder layer, in which a tensor is."""
    found = IN_A_BLOCK.search(name)
    return name[: found.end()] if found else ""


def _number(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((config[name] for name in names if isinstance(config.get(name), int)), None)


def _activation(config: Mapping[str, Any]) -> str:
    return str(next((config[name] for name in ACTIVATION if name in config), ""))


def _norms(model: Model, heads: int, keys: int) -> int:
    """A norm has a weight a column; one of queries or keys may have them of one head alone."""
    sizes = {
        name: tensor["shape"][0]
        for name, tensor in model.language.items()
        if len(tensor["shape"]) == 1 and name.endswith(".weight") and _block(name)
    }
    block = _block(next(iter(sizes), ""))
    return sum(
        _width(name, stored, model.text, heads, keys)
        for name, stored in sizes.items()
        if _block(name) == block
    )


def _width(name: str, stored: int, config: Mapping[str, Any], heads: int, keys: int) -> int:
    if stored == config.get("head_dim"):
        return stored * (keys if "k_norm" in name or "k_layernorm" in name else heads)
    return stored
