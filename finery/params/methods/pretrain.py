"""`method: pretrain`: continued pretraining on plain texts, every token of them."""

from typing import Literal

from finery.params.step import StepParams


class PretrainParams(StepParams):
    learns_from = ("text",)
    method: Literal["pretrain"]
