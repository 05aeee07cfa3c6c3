"""`quantize`: the formats wanted beside the merged model, one sub-section a format."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finery.params.section import Section

Format = Literal["gptq", "awq", "gguf"]
GroupSize = Literal[32, 64, 128]
GgufType = Literal["q8_0", "f16", "bf16", "f32", "q4_k_m", "q5_k_m", "q6_k"]
GGUF_BITS: dict[GgufType, float] = {
    "q8_0": 8.5, "f16": 16, "bf16": 16, "f32": 32, "q4_k_m": 4.85, "q5_k_m": 5.7, "q6_k": 6.6,
}  # fmt: skip
"""About how many bits a weight takes, with the scales of its group."""


class GptqParams(Section):
    """GPTQ (Frantar et al. 2022, arXiv:2210.17323)."""

    bits: Literal[4, 8] = 4
    group_size: GroupSize = 128
    """Weights that share a scale; must divide the layer widths."""
    desc_act: bool = False
    """Quantize columns by falling activation: a little better, slower to serve."""
    damp_percent: Annotated[float, Field(gt=0, lt=1)] = 0.05


class AwqParams(Section):
    """AWQ (Lin et al. 2023, arXiv:2306.00978)."""

    bits: Literal[4] = 4
    group_size: GroupSize = 128
    """Weights that share a scale; must divide the layer widths."""
    clip: bool = False
    """Search for a weight clipping: overfits a small calibration set, so leave it off there."""


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
