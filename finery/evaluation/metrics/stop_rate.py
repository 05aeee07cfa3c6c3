"""Whether an answer came to its end by itself, and was not cut at `max_new_tokens`."""

from finery.evaluation.sample import Sample


def score(sample: Sample) -> dict[str, float | None]:
    return {"stop_rate": float(sample.finished)}
