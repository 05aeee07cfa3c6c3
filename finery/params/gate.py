"""`gate`: what a model must reach before it is packaged."""

import difflib
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from finery.params.quantize import Format
from finery.params.section import Section

Evaluated = Literal["base", "merged"] | Format
METRICS = (
    "loss", "perplexity", "bleu", "rouge1", "rouge2", "rougeL",
    "exact_match", "call_match", "keyword_match", "unfinished",
)  # fmt: skip
"""What they mean is in docs/evaluation.md."""


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
        name = self.metric.rpartition(".")[2]
        if name not in METRICS:
            known = ", ".join(METRICS) + nearest(name, METRICS)
            raise ValueError(f"metric: unknown metric {name}; one of {known}")
        return self


def nearest(name: str, known: Sequence[str]) -> str:
    """What was meant, to be put behind what is known."""
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


class GateParams(Section):
    rules: list[Rule] = []
