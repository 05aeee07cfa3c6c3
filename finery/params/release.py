"""`release`: what a model is compared on with the one in service; no stage depends on it."""

from typing import Annotated

from pydantic import Field

from finery.params.section import Section

LOWER_IS_BETTER = ("loss", "unfinished")


class ReleaseParams(Section):
    metrics: Annotated[list[str], Field(min_length=1)] = ["all.loss"]
    """DATASET.METRIC, such as identity_test.keyword_match; worse in one of them is not promoted."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """How sure the comparison must be to call a model worse."""
    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    """Draws of the bootstrap."""
    seed: Annotated[int, Field(ge=0)] = 42
