"""A linear layer with LoRA as one matrix product forward, and one for the gradient of its input.

PEFT computes the layer, then A, then B, scales, and adds what it got to the layer's output in a
new tensor: passes over memory that a CPU waits for. Here W + s B A is made on the way, forward and
again backward, so that nothing more is kept; or, where there are fewer tokens than that is worth,
s B A x is added where the output is. A and B have PEFT's gradients, but for rounding.
"""

from types import MethodType
from typing import Any

import torch
from torch.nn.functional import linear

ADAPTER = "default"


class LoraLinear(torch.autograd.Function):
    """x W' + bias + s x A' B', for x of ... x inputs, A of rank x inputs, B of outputs x rank."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scale: float) -> Any:
        rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        small = a.to(weight.dtype), b.to(weight.dtype)
        ctx.save_for_backward(rows, weight, *small)
        ctx.scale, ctx.shape, ctx.types = scale, x.shape, (x.dtype, a.dtype, b.dtype)
        if is_worth_merging(len(rows), weight):
            made = linear(rows, merged(weight, *small, scale), bias)
        else:
            made = linear(rows, weight, bias).addmm_(rows @ small[0].T, small[1].T, alpha=scale)
        return made.view(*x.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        rows, weight, a, b = ctx.saved_tensors
        of_x, of_a, of_b = ctx.types
        out = gradient.reshape(-1, gradient.shape[-1]).to(weight.dtype)
        down = out @ b
        for_a = (down.T @ rows).mul_(ctx.scale).to(of_a)
        for_b = (out.T @ (rows @ a.T)).mul_(ctx.scale).to(of_b)
        for_x = None
        if ctx.needs_input_grad[0]:
            if is_worth_merging(len(rows), weight):
                for_x = out @ merged(weight, a, b, ctx.scale)
            else:
                for_x = (out @ weight).addmm_(down, a, alpha=ctx.scale)
            for_x = for_x.to(of_x).view(ctx.shape)
        return for_x, None, None, for_a, for_b, None


def merged(weight: Any, a: Any, b: Any, scale: float) -> Any:
    """W + s B A."""
    return torch.addmm(weight, b, a, alpha=scale)


def is_worth_merging(rows: int, weight: Any) -> bool:
    """Whether the matrix is smaller than what goes in and comes out, and loses nothing: in half
    precision a small change of a weight is rounded away.
    """
    outputs, inputs = weight.shape
    return weight.dtype == torch.float32 and rows * (outputs + inputs) > 2 * outputs * inputs


def quicken(model: Any) -> int:
    """Have the plain LoRA layers of a PEFT model computed so; how many there are."""
    from peft.tuners.lora import Linear

    found = [part for part in model.modules() if type(part) is Linear and _is_plain(part)]
    for part in found:
        part.forward = MethodType(_forward, part)
    return len(found)


def _is_plain(layer: Any) -> bool:
    """Whether it is W and one adapter of A and B alone: no DoRA, biases, dropout, or few bits."""
    base = layer.base_layer
    return (
        type(base) is torch.nn.Linear
        and not base.weight.requires_grad
        and (base.bias is None or not base.bias.requires_grad)
        and base.weight.is_floating_point()
        and list(layer.lora_A) == [ADAPTER]
        and not layer.lora_variant
        and layer.lora_A[ADAPTER].bias is None
        and layer.lora_B[ADAPTER].bias is None
        and isinstance(layer.lora_dropout[ADAPTER], torch.nn.Identity)
    )


def _forward(layer: Any, x: Any, *given: Any, **named: Any) -> Any:
    """PEFT's own wherever the adapter is off, merged, or there are others."""
    usual = not layer.disable_adapters and layer.active_adapters == [ADAPTER] and not layer.merged
    if given or named or not usual:
        return type(layer).forward(layer, x, *given, **named)
    base, a, b = layer.base_layer, layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    return LoraLinear.apply(x, base.weight, base.bias, a, b, layer.scaling[ADAPTER])
