"""`quantize`: 4-bit GPTQ and AWQ, one sub-section a format."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.section import Section

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
    gptq: GptqParams = GptqParams()
    awq: AwqParams = AwqParams()
