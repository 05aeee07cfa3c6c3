"""`quantize`: the formats wanted beside the merged model, one sub-section a format."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finery.params.section import Section

Format = Literal["gptq", "awq"]
GroupSize = Literal[32, 64, 128]


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


class QuantizeParams(Section):
    formats: list[Format]
    """What the merged model is made into: gptq, awq, both, or neither, []. Each is quantized,
    evaluated and packaged by stages of its own; one that is left out costs nothing."""
    gptq: GptqParams = GptqParams()
    awq: AwqParams = AwqParams()

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
