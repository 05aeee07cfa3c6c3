"""`gate`: what a model must reach before it is packaged."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finery.params.quantize import Format
from finery.params.section import Section

Evaluated = Literal["base", "merged"] | Format


class Rule(Section):
    """One threshold: a metric of a model, alone or against another model's."""

    model: Evaluated
    metric: Annotated[str, Field(pattern=r"^.+\.[^.]+$")]
    """DATASET.METRIC, such as identity_test.keyword_match; DATASET may be `all`."""
    minus: Evaluated | None = None
    """Take the difference to this model."""
    over: Evaluated | None = None
    """Take the ratio to this model."""
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "Rule":
        if self.min is None and self.max is None:
            raise ValueError("needs min or max, or both")
        if self.minus and self.over:
            raise ValueError("has minus and over; keep one")
        return self


class GateParams(Section):
    rules: list[Rule] = []
