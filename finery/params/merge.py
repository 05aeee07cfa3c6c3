"""`merge`: what becomes of a step's adapter, and which step makes the model."""

from typing import Literal

from finery.params.section import Section


class MergeParams(Section):
    step: str
    """The step whose model is quantized, evaluated and packaged."""
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """Type of the merged weights and of what stays dense in the 4-bit models, which are bfloat16
    if this is float32; the sum itself is taken in float32."""
