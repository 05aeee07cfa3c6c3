"""`merge`: how the adapter goes into the base model."""

from typing import Literal

from finery.params.section import Section


class MergeParams(Section):
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """Type of the merged weights; the sum itself is taken in float32."""
