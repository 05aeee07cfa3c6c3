"""Groups of weights that share a scale: which sizes divide the layers of a model."""

from collections.abc import Iterator, Mapping

from finery.params.quantize import AWQ_GROUPS, GROUPS, AwqParams, GptqParams

AUTO = "auto"
Quantized = GptqParams | AwqParams


def group_size(params: Quantized, widths: Mapping[str, int]) -> int | None:
    """The size that `auto` stands for: the largest that divides every layer that takes it.

    `widths` are how many numbers go into each layer, by its name. None if no size does.
    """
    taking = [width for name, width in widths.items() if params.group_of(name) == AUTO]
    return next((size for size in _sizes(params) if not any(w % size for w in taking)), None)


def resolved(params: Quantized, widths: Mapping[str, int]) -> Quantized:
    """The same settings with a number in the place of `auto`, if one fits."""
    size = group_size(params, widths) if params.group_size == AUTO else None
    return params.model_copy(update={"group_size": size}) if size else params


def undivided(params: Quantized, widths: Mapping[str, int]) -> Iterator[tuple[str, int, int | str]]:
    """The layers that their group does not divide, their widths and that group.

    Kernels round such a layer in silence, and crash when it is served.
    """
    settled = resolved(params, widths)
    for name, width in widths.items():
        size = settled.group_of(name)
        if size == AUTO or (isinstance(size, int) and size > 0 and width % size):
            yield name, width, size


def unmatched(params: Quantized, widths: Mapping[str, int]) -> str | None:
    """What is wrong with a pattern of the settings that names none of the layers."""
    if not isinstance(params, GptqParams) or not (keys := params.unmatched(widths)):
        return None
    return f"{keys[0]}: no layer is called so; one is {next(iter(widths), 'not there')}"


def fitting(params: Quantized, widths: Mapping[str, int]) -> str:
    """What to do about it: the sizes that divide all of the layers, those of few kernels last."""
    sizes = [str(s) for s in _sizes(params) if not any(w % s for w in widths.values())]
    if isinstance(params, GptqParams):
        sizes = [size for size in sizes if size != "16"] or sizes or ["-1"]
    return f"use {' or '.join(sizes)}" if sizes else "no group size does"


def _sizes(params: Quantized) -> tuple[int, ...]:
    return GROUPS if isinstance(params, GptqParams) else AWQ_GROUPS
