"""GPTQModel's two searches, arranged for a CPU, on which it has no kernels for them.

Both replace a part of version 7.6; tests hold them against the original.
"""

import inspect
import textwrap
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from finery.quantization.overrides import replaced

GRID = 20
"""The ratios that AWQ's search for a scale tries: 0, 1/20 ... 19/20."""
STRIDES = (4, 2, 1)
KEPT = 2**26
"""Bytes of inputs, weights and products to keep: a small model's layer has tens of millions."""
ON_CUDA = ('and W.device.type == "cuda"', "and count == 128")
"""Where GPTQ decides for a kernel of a whole block of columns; else it goes one by one."""


@contextmanager
def gptq_by_blocks() -> Iterator[None]:
    """Let GPTQ hand `block_update` each block of columns, as it does its CUDA kernel.

    There is no other way in: the decision is in the middle of a function.
    """
    from gptqmodel.quantization import gptq, gptq_cuda

    with (
        replaced(gptq.GPTQ, "quantize", _without(gptq.GPTQ.quantize, ON_CUDA, vars(gptq))),
        replaced(gptq_cuda, "block_update_available", lambda: True),
        replaced(gptq_cuda, "gptq_block_update", block_update),
    ):
        yield


def _without(function: Callable, conditions: tuple[str, ...], scope: dict) -> Callable:
    """The function without some of its conditions. Raises `RuntimeError` if it has them not."""
    source = textwrap.dedent(inspect.getsource(function))
    for condition in conditions:
        if source.count(condition) != 1:
            raise RuntimeError(f"{function.__qualname__} is another: it does not ask {condition!r}")
        source = source.replace(condition, "")
    made: dict[str, Callable] = {}
    exec(compile(source, inspect.getfile(function), "exec"), scope, made)
    return made[function.__name__]


def block_update(
    work: Any,
    hinv: Any,
    scale: Any,
    zero: Any,
    column_group: Any,
    quantized: Any,
    errors: Any,
    losses: Any,
    maxq: int,
) -> None:
    """GPTQ (Frantar et al. 2022) on a block of columns: round one, have the next make up for it.

    `work` are the weights, (rows, columns), `hinv` the factor of the inverse Hessian for these
    columns, `scale` and `zero` have a row for each group of columns and `column_group` says whose.
    `quantized`, `errors` and `losses` are written, as large as `work`. The numbers are those of
    GPTQModel's own loop, to the bit: only that a column lies in memory in one piece.
    """
    import torch

    weights = work.t().contiguous()
    rounded, off, missed, room = (torch.empty_like(weights) for _ in range(4))
    rows = zip(weights, rounded, off, missed, scale[column_group], zero[column_group], strict=True)
    diagonal, spread = hinv.diagonal(), hinv.contiguous().unsqueeze(2)
    for i, ((column, q, delta, error, s, z), d) in enumerate(zip(rows, diagonal, strict=True), 1):
        torch.div(column, s, out=q).round_().add_(z).clamp_(0, maxq).sub_(z).mul_(s)
        torch.sub(column, q, out=delta)
        torch.div(delta, d, out=error)
        weights[i:].sub_(torch.mul(spread[i - 1, i:], error, out=room[i:]))
    losses.copy_((off.square() / diagonal.square().unsqueeze(1)).t())
    errors.copy_(missed.t())
    quantized.copy_(rounded.t())


@contextmanager
def each_product_once() -> Iterator[None]:
    """Keep the products of a layer for as long as its inputs and its weights stay the same.

    GPTQ runs each layer anew for each group of its linear layers, up to the last of the group,
    whose own product nobody reads. The numbers are the same.
    """
    from gptqmodel.nn_modules.hooked_linear import HookedLinear
    from torch.nn import functional

    linear, forward = functional.linear, HookedLinear.forward
    products = _Products(linear)

    def hooked(self: Any, x: Any) -> Any:
        unread = bool(self.forward_hook and self.forward_hook_last)
        with replaced(products, "unread", unread):
            return forward(self, x)

    with replaced(functional, "linear", products), replaced(HookedLinear, "forward", hooked):
        yield


class _Products:
    """`linear`, with what it gave lately; or with zeros while the product is `unread`."""

    def __init__(self, linear: Callable) -> None:
        self._linear, self.unread = linear, False
        self._kept: deque[tuple[Any, ...]] = deque()
        self._bytes = 0

    def __call__(self, x: Any, weight: Any, bias: Any = None) -> Any:
        if self.unread:
            return x.new_zeros(*x.shape[:-1], weight.shape[0])
        for *given, result in reversed(self._kept):
            if all(map(_equal, given, (x, weight, bias))):
                return result.clone()
        result = self._linear(x, weight, bias)
        self._keep(x, weight, bias, result)
        return result

    def _keep(self, *tensors: Any) -> None:
        """Copies: whoever has the tensors may write into them."""
        copies = tuple(each if each is None else each.detach().clone() for each in tensors)
        self._kept.append(copies)
        self._bytes += _size(copies)
        while self._bytes > KEPT:
            self._bytes -= _size(self._kept.popleft())


def _equal(one: Any, other: Any) -> bool:
    import torch

    if one is None or other is None:
        return one is other
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)


def _size(tensors: tuple[Any, ...]) -> int:
    return sum(each.nbytes for each in tensors if each is not None)


@contextmanager
def awq_by_halving() -> Iterator[None]:
    """Let AWQ look for its scales in float32, and at fewer of them."""
    from gptqmodel.looper.awq_processor import AWQProcessor

    with replaced(AWQProcessor, "_compute_best_scale", best_scale):
        yield


def best_scale(
    self: Any,
    x: Any,
    w_mean: Any,
    x_mean: Any,
    module2inspect: Any,
    linears2scale: list[Any],
    fp16_output: Any,
    kwargs: dict[str, Any] | None = None,
) -> tuple[Any, float]:
    """The scale of the inputs by which rounding the weights changes the output least (Lin 2023).

    Every fourth ratio is tried, then those around the best, so nine of the twenty that GPTQModel
    tries. The layers compute in float32 meanwhile: half precision is emulated on a CPU.
    """
    import torch

    weights = [layer.weight for layer in linears2scale]
    masters = [weight.detach().float() for weight in weights]
    means = x_mean.view(-1).float(), w_mean.view(-1).float()
    if (hint := getattr(self._scale_context, "prev_scale", None)) is not None:
        means = means[0], means[1] * float(hint)
    expected = [chunk.float() for chunk in self._iter_reference_output_chunks(x, fp16_output)]

    def loss(ratio: int) -> float:
        scale = _scale(*means, ratio / GRID, self.duo_scaling)
        for weight, master in zip(weights, masters, strict=True):
            torch.mul(master, scale, out=weight.data)
            self._pseudo_quantize_tensor_into(weight.data, weight.data)
            weight.data.div_(scale)
        found = self._iter_module_forward_outputs(inputs, module2inspect, settings)
        pairs = list(zip(expected, found, strict=True))
        squares = sum(torch.nn.functional.mse_loss(*p, reduction="sum").item() for p in pairs)
        return squares / sum(one.numel() for one, _ in pairs)

    with torch.inference_mode(), _in_float32(module2inspect):
        inputs, settings = x.float(), _float(dict(kwargs or {}))
        best, least = _least(loss)
        scale = _scale(*means, best / GRID, self.duo_scaling)
    return scale.to(x_mean.dtype).cpu(), least


def _scale(x_mean: Any, w_mean: Any, ratio: float, duo: bool) -> Any:
    """GPTQModel's scale for a ratio, 1 where it is no number."""
    import torch

    scale = x_mean.pow(ratio)
    if duo:
        scale = scale / (w_mean.pow(1 - ratio) + 1e-4)
    scale = scale.clamp(min=1e-4)
    scale = scale / (scale.max() * scale.min()).sqrt()
    return torch.where(torch.isfinite(scale), scale, 1.0)


def _least(loss: Callable[[int], float]) -> tuple[int, float]:
    """The ratio with the least loss and that loss, looked for in ever smaller strides.

    Raises `ArithmeticError` if all that were tried give NaN.
    """
    found = {ratio: loss(ratio) for ratio in range(0, GRID, STRIDES[0])}
    for stride in STRIDES[1:]:
        numbers = {ratio: value for ratio, value in found.items() if value == value}
        if not numbers:
            raise ArithmeticError("the loss is NaN for every scale")
        best = min(numbers, key=numbers.__getitem__)
        for ratio in (best - stride, best + stride):
            if 0 <= ratio < GRID:
                found[ratio] = loss(ratio)
    best = min((each for each in found if found[each] == found[each]), key=found.__getitem__)
    return best, found[best]


@contextmanager
def _in_float32(module: Any) -> Iterator[None]:
    """Have the parameters of a module in float32; at the end they are the very ones as before."""
    kept = [(parameter, parameter.data) for parameter in module.parameters()]
    try:
        for parameter, data in kept:
            parameter.data = data.float()
        yield
    finally:
        for parameter, data in kept:
            parameter.data = data


def _float(value: Any) -> Any:
    """The same with its tensors of half precision in float32, inside of lists and mappings too."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _float(each) for key, each in value.items()}
    return type(value)(map(_float, value)) if type(value) in (list, tuple) else value
