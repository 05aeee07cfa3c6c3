"""Whether an answer calls the tools that the reference does: see finery.evaluation.calls."""

from finery.evaluation.sample import Sample


def score(sample: Sample) -> dict[str, float | None]:
    return {"call_match": sample.call_match}
