"""`quantize`: the formats wanted beside the merged model, one sub-section a format."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from finery.params.section import Section

Format = Literal["gptq", "awq", "gguf"]
GroupSize = Literal[-1, 16, 32, 64, 128]
"""Weights that share a scale; -1: all that go into one output (per channel)."""
GROUPS = (128, 64, 32, 16)
AWQ_GROUPS = (128, 64, 32)
GgufType = Literal["q8_0", "f16", "bf16", "f32", "q4_k_m", "q5_k_m", "q6_k"]
GGUF_BITS: dict[GgufType, float] = {
    "q8_0": 8.5, "f16": 16, "bf16": 16, "f32": 32, "q4_k_m": 4.85, "q5_k_m": 5.7, "q6_k": 6.6,
}  # fmt: skip
"""About how many bits a weight takes, with the scales of its group."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return text


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
"""A regular expression that is looked for in the names of layers, model.layers.0.mlp.up_proj and
the like: down_proj means one in every block."""


class LayerParams(Section):
    """How the layers that a pattern names are quantized; what is left out is as for the others."""

    bits: Literal[2, 3, 4, 8] | None = None
    group_size: GroupSize | None = None


class GptqParams(Section):
    """GPTQ (Frantar et al. 2022, arXiv:2210.17323)."""

    bits: Literal[2, 3, 4, 8] = 4
    group_size: Literal["auto"] | GroupSize = 128
    """Weights that share a scale; must divide the layer widths. -1: all that go into one output;
    auto: the largest of 128, 64, 32 and 16 that divides."""
    sym: bool = True
    """Zero is in the middle of the numbers; engines have their fastest kernels for such weights."""
    desc_act: bool = False
    """Quantize columns by falling activation: a little better, slower to serve."""
    damp_percent: Annotated[float, Field(gt=0, lt=1)] = 0.05
    exclude: list[Pattern] = []
    """Layers that stay in the model's type, by patterns of their names."""
    layers: dict[Pattern, LayerParams] = {}
    """Layers of other bits or groups, by patterns of their names; the first that fits counts."""

    def group_of(self, layer: str) -> int | str | None:
        """The group size of a layer, "auto" if that is to be found; None if it is excluded."""
        if any(re.search(pattern, layer) for pattern in self.exclude):
            return None
        own = (each for pattern, each in self.layers.items() if re.search(pattern, layer))
        chosen = next(own, LayerParams()).group_size
        return self.group_size if chosen is None else chosen

    def unmatched(self, layers: Iterable[str]) -> list[str]:
        """The keys of patterns that name none of these layers."""
        names = list(layers)
        keys = {f"exclude.{index}": pattern for index, pattern in enumerate(self.exclude)}
        keys |= {f"layers.{pattern}": pattern for pattern in self.layers}
        return [key for key, text in keys.items() if not any(re.search(text, n) for n in names)]


class AwqParams(Section):
    """AWQ (Lin et al. 2023, arXiv:2306.00978)."""

    bits: Literal[4] = 4
    group_size: Literal["auto", 32, 64, 128] = 128
    """Weights that share a scale; must divide the layer widths. auto: the largest that does."""
    clip: bool = False
    """Search for a weight clipping: overfits a small calibration set, so leave it off there."""

    def group_of(self, layer: str) -> int | str | None:
        """The group size of a layer, "auto" if that is to be found."""
        return self.group_size


class GgufParams(Section):
    """One file for llama.cpp, Ollama and what stands on them; nothing to calibrate."""

    type: GgufType = "q8_0"
    """The weights' numbers, by llama.cpp's names. Those with a k are made by a llama.cpp library,
    libllama.so, which FINERY_LLAMA_LIB names; the others need none."""


class QuantizeParams(Section):
    formats: list[Format]
    """What the merged model is made into: any of gptq, awq and gguf, or none, []. Each is made,
    evaluated and packaged by stages of its own; one that is left out costs nothing."""
    gptq: GptqParams = GptqParams()
    awq: AwqParams = AwqParams()
    gguf: GgufParams = GgufParams()

    @model_validator(mode="after")
    def _written_out(self) -> "QuantizeParams":
        """dvc.yaml names the settings of each format wanted, and DVC knows no defaults."""
        problems = [
            f"formats: {name} is there twice; keep it once"
            for name in dict.fromkeys(self.formats)
            if self.formats.count(name) > 1
        ] + [
            f"{name}: missing, and quantize.formats names it; add `{name}: {{}}`, or take it out"
            for name in self.formats
            if name not in self.model_fields_set
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self
