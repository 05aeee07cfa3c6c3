"""`release`: what a model is compared on with the one in service; no stage depends on it."""

from typing import Annotated

from pydantic import Field, model_validator

from finery.params.gate import nearest
from finery.params.section import Section

LOWER_IS_BETTER = ("loss", "unfinished")
PER_SAMPLE = (
    "exact_match", "call_match", "keyword_match", "rouge1", "rouge2", "rougeL", *LOWER_IS_BETTER,
)  # fmt: skip


class ReleaseParams(Section):
    metrics: Annotated[list[str], Field(min_length=1)] = ["all.loss"]
    """DATASET.METRIC, such as identity_test.keyword_match; worse in one of them is not promoted."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """How sure the comparison must be to call a model worse."""
    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    """Draws of the bootstrap."""
    seed: Annotated[int, Field(ge=0)] = 42

    @model_validator(mode="after")
    def _measured_on_each_sample(self) -> "ReleaseParams":
        problems = [
            f"metrics.{number}: {metric} does not fit: DATASET.METRIC, and METRIC is measured on"
            f" each sample: {', '.join(PER_SAMPLE)}{nearest(metric.rpartition('.')[2], PER_SAMPLE)}"
            for number, metric in enumerate(self.metrics)
            if "." not in metric or metric.rpartition(".")[2] not in PER_SAMPLE
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self
