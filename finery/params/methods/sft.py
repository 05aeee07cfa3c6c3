"""`method: sft`: supervised fine-tuning on the answers of conversations."""

from typing import Literal

from finery.params.step import StepParams


class SftParams(StepParams):
    learns_from = ("chat", "text")
    method: Literal["sft"]
